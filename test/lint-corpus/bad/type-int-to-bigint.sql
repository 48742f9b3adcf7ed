-- expect: change-column-type at 2:20
alter table orders alter column id type bigint;
