-- expect: create-index at 2:1
create index totals_day_idx on reporting.totals (day);
