-- expect: drop-object at 2:1
drop type order_status;
