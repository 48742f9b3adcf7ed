-- expect: json-type at 2:49
create table notes (id bigint primary key, body json not null default '{}');
