-- expect: json-type at 2:39
alter table users add column settings json;
