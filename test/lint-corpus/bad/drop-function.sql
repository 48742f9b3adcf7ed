-- expect: drop-object at 2:1
drop function shorten(text);
