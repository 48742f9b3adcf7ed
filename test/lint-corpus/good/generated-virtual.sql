-- pg: 18
-- expect: nothing
alter table users add column email_lower text generated always as (lower(email)) virtual;
