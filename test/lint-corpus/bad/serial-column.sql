-- expect: add-serial-column at 2:37
alter table users add column number serial;
