-- expect: detach-partition at 2:26
alter table measurements detach partition measurements_2025;
