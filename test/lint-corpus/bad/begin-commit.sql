-- expect: transaction-control at 2:1
begin;
alter table users add column region text;
commit;
