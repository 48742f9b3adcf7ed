create unique index concurrently drivers_licence_key on drivers (licence);
-- The index is there: the constraint takes it over without reading a row.
alter table drivers add constraint drivers_licence_key unique using index drivers_licence_key;
