alter table users
  drop column language,
  drop column newsletter;
