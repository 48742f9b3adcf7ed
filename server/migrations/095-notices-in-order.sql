-- breaking: no
-- Notices about one incident reach a channel in the order in which they were written down: whoever heard of the end
-- before the beginning would hold the incident for open for good.

alter table notifications add column seq bigint generated always as identity;
create index notifications_waiting on notifications (channel, incident, seq) where status = 'pending';
