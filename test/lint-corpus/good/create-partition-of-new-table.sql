-- expect: nothing
create table logs (at timestamptz, line text) partition by range (at);
create table logs_2027 partition of logs for values from ('2027-01-01') to ('2028-01-01');
