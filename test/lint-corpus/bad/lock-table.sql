-- expect: lock-table at 2:1
lock table users in share mode;
