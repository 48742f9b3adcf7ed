-- expect: create-index at 2:1
create unique index if not exists users_email_lower_key on users (lower(email));
