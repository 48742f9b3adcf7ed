-- expect: nothing
create table notes (order_id int primary key references orders (id), body text);
