alter table drivers drop column phone;
