-- expect: nothing
create table stays (id bigint primary key, during tstzrange, exclude using gist (during with &&));
