-- expect: add-column-default at 2:68
/* Größe */ alter table "Größen" add column "Öffnung" uuid default gen_random_uuid();
