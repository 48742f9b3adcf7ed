-- expect: bulk-data at 2:1
create table copies as select * from users;
