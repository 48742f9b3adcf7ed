-- expect: reindex at 2:1
reindex (verbose) index orders_status_idx;
