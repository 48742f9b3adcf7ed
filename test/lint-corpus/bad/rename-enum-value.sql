-- expect: rename-enum-value at 2:1
alter type order_status rename value 'open' to 'placed';
