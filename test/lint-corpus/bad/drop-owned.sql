-- expect: drop-object at 2:1
drop owned by rider;
