alter table drivers drop constraint drivers_licence_key;
