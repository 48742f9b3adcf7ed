-- expect: combine-alters at 4:1
-- expect: combine-alters at 5:1
alter table users add column a text;
alter table users add column b text;
alter table public.users alter column b set default 'x';
