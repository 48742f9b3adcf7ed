-- expect: add-primary-key at 2:24
alter table events add primary key (id);
