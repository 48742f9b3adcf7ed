-- expect: drop-object at 2:1
drop view active_users;
