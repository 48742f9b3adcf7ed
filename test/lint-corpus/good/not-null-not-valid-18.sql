-- pg: 18
-- expect: nothing
alter table users add constraint users_email_there not null email not valid;
alter table users validate constraint users_email_there;
alter table users alter column email set not null;
