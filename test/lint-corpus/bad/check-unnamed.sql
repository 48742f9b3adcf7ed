-- expect: add-check at 2:24
alter table orders add check (total >= 0);
