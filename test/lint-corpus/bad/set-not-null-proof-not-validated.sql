-- expect: combine-alters at 4:1
-- expect: set-not-null at 4:19
alter table users add constraint users_email_there check (email is not null) not valid;
alter table users alter column email set not null;
