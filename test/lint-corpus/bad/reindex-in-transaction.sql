-- expect: transaction-control at 3:1
-- expect: concurrent-in-transaction at 4:1
begin;
reindex table concurrently orders;
commit;
