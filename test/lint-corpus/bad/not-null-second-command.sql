-- expect: add-not-null-column at 2:56
alter table users add column a text, add column b text not null;
