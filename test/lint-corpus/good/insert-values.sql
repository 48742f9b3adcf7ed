-- expect: nothing
insert into events (id, kind) values (1000, 'start');
