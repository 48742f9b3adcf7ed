-- expect: timestamp-without-zone at 2:35
alter table users add column seen timestamp[];
