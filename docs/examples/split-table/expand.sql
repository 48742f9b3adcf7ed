create table user_preferences (
  user_id bigint primary key,
  language text not null default 'bn',
  newsletter boolean not null default false
);
