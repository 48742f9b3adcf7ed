alter table users
  drop column bio,
  drop column preferences,
  drop column created_at;
