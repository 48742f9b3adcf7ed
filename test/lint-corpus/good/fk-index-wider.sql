-- expect: nothing
create index concurrently orders_user_idx on orders (user_id, created_at);
alter table orders add constraint orders_user_fk foreign key (user_id) references users (id) not valid;
