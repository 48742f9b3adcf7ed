-- expect: nothing
alter table users add column sort_name text collate "C";
