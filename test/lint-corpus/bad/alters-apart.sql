-- expect: combine-alters at 3:1
alter table users add column region text;
alter table users add column city text;
