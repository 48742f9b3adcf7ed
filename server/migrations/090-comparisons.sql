-- breaking: no
-- Which migrations have been compared with their target, so that an epoch that a restored store has forgotten is
-- not given out again. Unlogged: a backup, a standby and a crash hold none of it, which is right.

create unlogged table comparisons (
  migration text primary key,
  -- The life of the store in which it was compared: files that are put back, and a standby that takes over, are
  -- served by another one.
  life text not null,
  -- The transaction that wrote this row. A row that a dump has brought back was written by another one.
  written xid8 not null,
  -- Revision of the migration that was compared.
  revision bigint not null
);
