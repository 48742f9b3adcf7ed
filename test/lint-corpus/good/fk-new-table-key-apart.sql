-- expect: nothing
create table details (order_id int, body text, primary key (order_id), foreign key (order_id) references orders (id));
