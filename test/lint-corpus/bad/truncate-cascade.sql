-- expect: truncate at 2:1
truncate table users, orders restart identity cascade;
