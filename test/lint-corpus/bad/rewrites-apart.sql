-- expect: change-column-type at 4:20
-- expect: combine-alters at 5:1
-- expect: change-column-type at 5:20
alter table events alter id type numeric;
alter table events alter kind type varchar;
