-- expect: set-not-null at 4:19
alter table users add constraint users_name_there check (name is not null) not valid;
alter table users validate constraint users_name_there;
alter table users alter column email set not null;
