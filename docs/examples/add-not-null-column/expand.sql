-- A constant default is kept in the catalog: no row is written. The check is validated while everybody goes on;
-- SET NOT NULL then takes its word and reads nothing.
alter table rides
  add column currency text default 'BDT',
  add constraint rides_currency_there check (currency is not null) not valid;
alter table rides validate constraint rides_currency_there;
alter table rides alter column currency set not null;
alter table rides drop constraint rides_currency_there;
