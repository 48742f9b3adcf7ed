-- expect: add-column-default at 2:58
alter table orders add column lot int default (1 + floor(random() * 10)::int);
