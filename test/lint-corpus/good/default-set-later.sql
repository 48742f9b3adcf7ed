-- expect: nothing
alter table users add column token uuid, alter column token set default gen_random_uuid();
