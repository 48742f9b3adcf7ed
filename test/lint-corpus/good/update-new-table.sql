-- expect: nothing
create table plans (name text primary key);
insert into plans values ('free');
update plans set name = 'basic';
