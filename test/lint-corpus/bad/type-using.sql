-- expect: change-column-type at 2:19
alter table users alter nickname set data type integer using length(nickname);
