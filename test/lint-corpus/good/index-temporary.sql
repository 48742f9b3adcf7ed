-- expect: nothing
create temporary table scratch (id bigint);
create index on scratch (id);
