-- expect: nothing
create table scratch (id bigint);
drop table scratch cascade;
