-- expect: add-exclusion-constraint at 2:26
alter table bookings add exclude using gist (during with &&);
