-- expect: rewrite-table at 2:1
alter table all in tablespace pg_default set tablespace fast;
