-- pg: 18
-- expect: set-not-null at 3:19
alter table users add constraint users_email_there not null email;
