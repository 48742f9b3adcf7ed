-- expect: drop-database at 2:1
drop database reports;
