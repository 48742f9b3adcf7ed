-- expect: identifier-too-long at 2:30
alter table users add column "ääääääääääääääääääääääääääääääää" text;
