-- expect: bulk-data at 3:1
create table copies (id bigint);
insert into copies select id from users;
