-- expect: add-foreign-key at 5:24
-- expect: foreign-key-without-index at 5:24
-- expect: add-foreign-key at 5:68
-- expect: foreign-key-without-index at 5:68
alter table orders add foreign key (user_id) references users, add foreign key (reviewer_id) references users;
