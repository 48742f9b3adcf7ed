-- expect: rename-schema at 2:1
alter schema reporting rename to reports;
