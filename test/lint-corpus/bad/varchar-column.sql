-- expect: varchar-limit at 2:35
alter table users add column city character varying(80);
