drop table positions;
