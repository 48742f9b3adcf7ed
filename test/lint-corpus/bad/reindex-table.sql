-- expect: reindex at 2:1
reindex table orders;
