-- expect: domain-constraint at 2:24
alter domain email add check (value like '%@%');
