-- expect: transaction-control at 4:1
-- expect: statements-under-lock at 6:1
-- expect: validate-in-transaction at 6:20
begin;
alter table orders add constraint total_positive check (total >= 0) not valid;
alter table orders validate constraint total_positive;
commit;
