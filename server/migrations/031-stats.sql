-- breaking: no
-- How migrations went: what their users noticed, and what the people who ran them say.

create table failed_operations (
  migration text primary key,
  -- Operations that new served, and those of them that failed.
  served bigint not null default 0,
  failed bigint not null default 0
);

create table satisfaction (
  migration text primary key,
  score int not null check (score between 1 and 5),
  comment text,
  by text not null,
  at timestamptz not null
);
