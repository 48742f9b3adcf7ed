-- expect: create-index at 2:1
create index on "Größen" ("Länge");
