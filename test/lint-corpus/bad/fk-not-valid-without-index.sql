-- expect: foreign-key-without-index at 2:24
alter table orders add constraint orders_user_fk foreign key (user_id) references users (id) not valid;
