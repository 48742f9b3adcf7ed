-- pg: 10
-- expect: add-column-default at 3:40
alter table users add column plan text default 'free';
