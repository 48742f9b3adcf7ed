-- expect: rewrite-table at 2:1
vacuum full orders;
