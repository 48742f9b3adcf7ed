-- expect: nothing
alter table orders alter column total set statistics 500;
