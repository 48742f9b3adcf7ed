-- expect: transaction-control at 3:1
alter table users add column region text;
commit;
