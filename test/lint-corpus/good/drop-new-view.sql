-- expect: nothing
create view names as select name from users;
drop view names;
