-- expect: create-partition at 2:1
create table if not exists measurements_rest partition of measurements default;
