-- expect: nothing
insert into events (id, kind) values (2000, 'drop table users; -- switchback:allow nothing');
