-- expect: add-unique-constraint at 2:23
alter table users add constraint users_email_key unique (email) deferrable initially deferred;
