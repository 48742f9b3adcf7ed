-- expect: drop-table at 2:1
drop table "ab";
