-- expect: add-check at 2:24
alter table orders add constraint total_positive check (total >= 0);
