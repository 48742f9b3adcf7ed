-- expect: add-not-null-column at 2:42
alter table users add column region text not null;
