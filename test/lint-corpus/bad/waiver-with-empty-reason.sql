-- expect: waiver-without-reason at 3:1
-- expect: drop-not-null at 4:19
-- switchback:allow drop-not-null because
alter table users alter column name drop not null;
