-- expect: nothing
create table events_tomorrow (like events_by_day including all);
alter table events_by_day attach partition events_tomorrow for values from ('2026-01-02') to ('2026-01-03');
