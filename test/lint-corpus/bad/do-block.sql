-- expect: opaque-block at 2:1
do $$ begin perform 1; end $$;
