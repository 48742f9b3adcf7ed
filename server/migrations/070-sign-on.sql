-- breaking: no
-- Single sign-on: who signed in at the provider, and the sessions of the console.

create table identities (
  id text primary key,
  issuer text not null,
  -- Of the provider, which never gives it to another person; names and addresses may pass on.
  subject text not null,
  name text not null,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  unique (issuer, subject)
);

create table identity_names (
  -- In lower case. Never freed: the audit log speaks of people by these.
  name text primary key,
  identity text not null references identities (id)
);

create table sign_ons (
  state_hash text primary key,
  -- Of the cookie of the browser that began it.
  browser_hash text not null,
  nonce text not null,
  verifier text not null,
  return_to text not null,
  expires_at timestamptz not null
);
comment on table sign_ons is 'Those that are at the provider now; a row is taken out by the first answer.';
create index sign_ons_expiry on sign_ons (expires_at);

create table sessions (
  id text primary key,
  hash text not null unique,
  identity text not null references identities (id),
  -- What the role is decided by, with each request and by the settings of now.
  email text,
  email_verified boolean,
  groups text[] not null,
  -- The provider's ID token, sealed with a key that is not in the store: it names the session to be ended there.
  hint text,
  started_at timestamptz not null,
  used_at timestamptz not null,
  expires_at timestamptz not null,
  ended_at timestamptz
);
create index sessions_of_identity on sessions (identity);
create index sessions_expiry on sessions (expires_at);

alter table tokens add column person text references identities (id);
comment on column tokens.person is 'Who was signed in when it was made, and so knows its text.';
