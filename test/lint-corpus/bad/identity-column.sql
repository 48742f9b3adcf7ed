-- expect: add-serial-column at 2:45
alter table events add column number bigint generated always as identity;
