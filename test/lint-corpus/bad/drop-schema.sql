-- expect: drop-object at 3:1
-- expect: drop-cascade at 3:23
drop schema reporting cascade;
