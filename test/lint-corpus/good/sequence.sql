-- expect: nothing
create sequence shops_id_seq;
alter sequence shops_id_seq cache 10;
