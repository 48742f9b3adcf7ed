alter table drivers drop column mobile;
