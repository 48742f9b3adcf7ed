-- Without an index each change of a driver would read all rides.
create index concurrently rides_driver_id on rides (driver_id);
-- New rows are checked from now on, which takes a moment; those that are there are checked while everybody goes on.
alter table rides add constraint rides_driver foreign key (driver_id) references drivers (id) not valid;
alter table rides validate constraint rides_driver;
