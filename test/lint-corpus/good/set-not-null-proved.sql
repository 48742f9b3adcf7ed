-- expect: nothing
alter table users add constraint users_email_there check (email is not null) not valid;
alter table users validate constraint users_email_there;
alter table users alter column email set not null;
alter table users drop constraint users_email_there;
