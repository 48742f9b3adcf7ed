-- expect: nothing
alter table users add column a text, add column b jsonb, add column c text[];
