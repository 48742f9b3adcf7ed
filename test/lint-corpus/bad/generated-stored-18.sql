-- pg: 18
-- expect: add-generated-column at 3:47
alter table users add column email_lower text generated always as (lower(email)) stored;
