-- pg: 18
-- expect: set-not-null at 3:19
alter table users alter column email set not null;
