-- expect: nothing
update users set nickname = 'x' where id = 1;
