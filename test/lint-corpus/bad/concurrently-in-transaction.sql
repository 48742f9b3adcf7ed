-- expect: transaction-control at 3:1
-- expect: concurrent-in-transaction at 4:1
begin;
create index concurrently orders_user_id_idx on orders (user_id);
commit;
