-- expect: add-foreign-key at 3:24
-- expect: foreign-key-without-index at 3:24
alter table orders add foreign key (user_id) references users (id) on delete cascade deferrable initially deferred;
