-- expect: nothing
alter type order_status add value if not exists 'placed' before 'paid';
