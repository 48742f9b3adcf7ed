-- pg: 11
-- expect: set-not-null at 5:19
alter table users add constraint users_email_there check (email is not null) not valid;
alter table users validate constraint users_email_there;
alter table users alter column email set not null;
