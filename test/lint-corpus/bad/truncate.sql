-- expect: truncate at 2:1
truncate events;
