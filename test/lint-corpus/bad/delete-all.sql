-- expect: bulk-data at 2:1
delete from events;
