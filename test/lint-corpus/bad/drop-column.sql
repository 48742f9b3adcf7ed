-- expect: drop-column at 2:19
alter table users drop column nickname;
