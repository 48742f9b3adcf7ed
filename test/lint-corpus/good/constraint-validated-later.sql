-- expect: nothing
alter table orders add constraint total_positive check (total >= 0) not valid;
