-- expect: refresh-materialized-view at 2:1
refresh materialized view daily_totals;
