-- expect: nothing
reindex index concurrently orders_status_idx;
