-- expect: rewrite-table at 2:1
alter index orders_status_idx set tablespace pg_default;
