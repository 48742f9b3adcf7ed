-- expect: nothing
create or replace view paid_orders as select * from orders where status = 'paid';
