drop table positions_by_month;
