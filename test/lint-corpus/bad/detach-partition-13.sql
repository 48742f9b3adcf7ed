-- pg: 13
-- expect: detach-partition at 3:26
alter table measurements detach partition measurements_2025;
