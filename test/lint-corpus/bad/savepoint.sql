-- expect: transaction-control at 3:1
-- expect: transaction-control at 4:1
start transaction;
savepoint a;
select 1;
commit;
