alter table rides drop column currency;
