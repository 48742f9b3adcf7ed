-- expect: nothing
create function zero() returns int language sql immutable as 'select 0';
alter table users add column score int not null default zero();
