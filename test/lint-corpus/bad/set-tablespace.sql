-- expect: rewrite-table at 2:20
alter table events set tablespace pg_default;
