-- expect: drop-not-null at 2:19
alter table users alter column name drop not null;
