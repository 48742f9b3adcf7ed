-- expect: set-not-null at 2:19
alter table users alter column email set not null;
