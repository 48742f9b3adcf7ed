drop table payments_big;
