-- expect: nothing
-- switchback:allow drop-column because nobody has read it since 2.1 (see the query log)
-- Another comment in between.
-- switchback:allow drop-cascade because the view over it is unused as well
alter table users drop column name cascade;
