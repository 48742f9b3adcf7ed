-- expect: add-not-null-column at 2:42
alter table users add column region text constraint region_there not null;
