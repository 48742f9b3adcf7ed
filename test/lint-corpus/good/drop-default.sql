-- expect: nothing
alter table orders alter column total drop default;
