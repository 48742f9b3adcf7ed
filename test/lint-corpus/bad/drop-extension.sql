-- expect: drop-object at 2:1
drop extension if exists hstore;
