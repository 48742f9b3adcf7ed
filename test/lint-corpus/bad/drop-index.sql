-- expect: drop-index at 2:1
drop index orders_status_idx;
