-- expect: bulk-data at 2:1
with gone as (delete from events returning id) select count(*) from gone;
