alter table drivers add column mobile text;
