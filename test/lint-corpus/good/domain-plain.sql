-- expect: nothing
create domain zip as text;
