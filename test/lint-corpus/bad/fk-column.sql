-- expect: foreign-key-without-index at 2:46
alter table events add column user_id bigint references users (id);
