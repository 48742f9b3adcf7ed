-- expect: nothing
comment on table users is 'Übersicht';
grant select on users to public;
