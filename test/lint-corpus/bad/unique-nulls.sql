-- pg: 15
-- expect: add-unique-constraint at 3:23
alter table users add unique nulls not distinct (email);
