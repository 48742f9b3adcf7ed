-- expect: create-domain-constraint at 2:27
create domain zip as text check (value ~ '^[0-9]+$');
