-- expect: add-serial-column at 3:38
-- expect: add-primary-key at 3:48
alter table events add column number bigserial primary key;
