-- expect: create-partition at 2:1
create table measurements_2027 partition of measurements for values from ('2027-01-01') to ('2028-01-01');
