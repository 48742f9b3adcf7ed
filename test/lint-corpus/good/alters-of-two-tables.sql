-- expect: nothing
alter table users add column region text;
alter table orders add column region text;
