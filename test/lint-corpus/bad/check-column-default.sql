-- expect: add-check at 2:62
alter table orders add column tip numeric not null default 0 check (tip >= 0);
