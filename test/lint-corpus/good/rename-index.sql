-- expect: nothing
alter index orders_status_idx rename to orders_by_status_idx;
