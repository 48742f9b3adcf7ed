-- expect: foreign-key-without-index at 3:24
create index concurrently orders_user_idx on orders (user_id) where status = 'open';
alter table orders add constraint orders_user_fk foreign key (user_id) references users (id) not valid;
