-- expect: change-column-type at 3:19
-- expect: char-type at 3:39
alter table users alter nickname type char(4);
