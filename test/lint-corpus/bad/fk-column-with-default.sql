-- expect: add-foreign-key at 3:56
-- expect: foreign-key-without-index at 3:56
alter table events add column user_id bigint default 1 references users (id);
