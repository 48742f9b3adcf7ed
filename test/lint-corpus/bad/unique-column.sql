-- expect: add-unique-constraint at 2:42
alter table users add column handle text unique;
