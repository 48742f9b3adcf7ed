-- expect: identifier-too-long at 2:44
create table shops (id bigint primary key, this_name_says_so_much_about_its_column_that_postgresql_cuts_it_off text);
