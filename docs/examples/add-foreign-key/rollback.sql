alter table rides drop constraint rides_driver;
drop index concurrently rides_driver_id;
