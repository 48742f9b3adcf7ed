-- expect: nothing
create index measurements_at_idx on only measurements (at);
