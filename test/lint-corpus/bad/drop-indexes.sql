-- expect: drop-index at 2:1
drop index if exists orders_status_idx, orders_total_idx;
