-- expect: add-check at 2:43
alter table orders add column tip numeric check (tip >= 0);
