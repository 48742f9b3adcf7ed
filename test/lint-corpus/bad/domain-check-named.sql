-- expect: domain-constraint at 2:24
alter domain email add constraint email_at check (value like '%@%');
