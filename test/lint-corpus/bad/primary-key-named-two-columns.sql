-- expect: add-primary-key at 2:24
alter table events add constraint events_key primary key (id, kind);
