-- expect: char-type at 3:30
-- expect: char-type at 3:56
create table countries (code char(2) primary key, flag char);
