create table user_profiles (
  user_id uuid primary key,
  bio text,
  preferences jsonb not null default '{}',
  created_at timestamptz not null default now()
);
