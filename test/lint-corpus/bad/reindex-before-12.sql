-- pg: 11
-- expect: reindex at 3:1
reindex index orders_status_idx;
