-- expect: drop-cascade at 2:46
alter table users drop constraint users_pkey cascade;
