-- expect: bulk-data at 3:1
create table copies (id bigint);
insert into copies select u.id from users u join orders o on o.user_id = u.id;
