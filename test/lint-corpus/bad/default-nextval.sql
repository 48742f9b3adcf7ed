-- expect: add-column-default at 2:52
alter table users add column ticket bigint default nextval('tickets_seq');
