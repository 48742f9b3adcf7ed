-- breaking: no
-- What the alert inbox and the incidents keep beyond the first layout.

-- Migrations that the sender's token may speak for; null: all.
alter table alerts add column scope text[];
create index alerts_received_at on alerts (received_at desc, id desc);

-- When the alert that caused the revert was received; null for reverts by hand.
alter table incidents add column alerted_at timestamptz;

-- An epoch is left once only. A revert that leaves none (its first step still waits, or only DDL was
-- stopped) may be asked for again after a re-arm, so it must not be kept from writing its incident.
alter table incidents drop constraint incidents_migration_from_epoch_key;
create unique index incidents_one_per_epoch on incidents (migration, from_epoch) where to_epoch > from_epoch;
create index incidents_open on incidents (migration) where status = 'open';
