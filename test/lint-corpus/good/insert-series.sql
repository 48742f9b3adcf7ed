-- expect: nothing
create table numbers (n bigint);
insert into numbers select * from generate_series(1, 10);
