-- expect: nothing
alter table users add constraint users_there check (email is not null and nickname is not null) not valid;
alter table users validate constraint users_there;
alter table users alter column email set not null, alter column nickname set not null;
