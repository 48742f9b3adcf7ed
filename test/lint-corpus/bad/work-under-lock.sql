-- expect: transaction-control at 3:1
-- expect: statements-under-lock at 5:1
begin;
alter table users add column region text;
create table regions (name text primary key);
insert into regions values ('eu');
commit;
