-- expect: add-column-default at 2:48
alter table users add column code text default public.next_code();
