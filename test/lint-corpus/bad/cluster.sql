-- expect: rewrite-table at 2:1
cluster orders using orders_pkey;
