-- expect: nothing
create index concurrently orders_user_id_idx on orders (user_id);
alter table orders add constraint orders_user_fk foreign key (user_id) references users (id) not valid;
alter table orders validate constraint orders_user_fk;
