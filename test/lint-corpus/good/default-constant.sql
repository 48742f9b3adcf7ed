-- expect: nothing
alter table users add column plan text not null default 'free';
