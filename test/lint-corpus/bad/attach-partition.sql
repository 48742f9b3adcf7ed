-- expect: attach-partition at 2:27
alter table events_by_day attach partition events_today for values from ('2026-01-01') to ('2026-01-02');
