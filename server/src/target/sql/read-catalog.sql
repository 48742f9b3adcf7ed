-- What a schema consists of, one row each, described so that equal text means an equal object. Schemas of
-- PostgreSQL and of Switchback are left out, and so is what belongs to an extension.
with spaces as (
  select oid, nspname from pg_namespace
  where nspname !~ '^pg_' and nspname not in ('information_schema', 'switchback')
), own as (
  select classid, objid from pg_depend where deptype = 'e'
), relations as (
  select c.*, s.nspname from pg_class c join spaces s on s.oid = c.relnamespace
  where not exists (select from own where classid = 'pg_class'::regclass and objid = c.oid)
), tables as (
  select * from relations where relkind in ('r', 'p')
), things as (
  -- What has an owner and privileges, with the words that statements name it by.
  select oid, 'pg_namespace'::regclass as class, nspname as schema, '' as relation, '' as name, nspowner as owner,
         nspacl as acl, 'n'::"char" as defaults, 'schema' as noun, quote_ident(nspname) as sql, 'schema' as owned
  from pg_namespace where oid in (select oid from spaces)
    and not exists (select from own where classid = 'pg_namespace'::regclass and objid = pg_namespace.oid)
  union all
  select r.oid, 'pg_class'::regclass, nspname, relname, '', relowner, relacl,
         case relkind when 'S' then 's' else 'r' end::"char",
         case relkind when 'S' then 'sequence' else 'table' end, format('%I.%I', nspname, relname),
         case relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'materialized view' else 'table' end
  from relations r where relkind in ('r', 'p', 'v', 'm', 'S')
  union all
  select p.oid, 'pg_proc'::regclass, nspname, proname, format('(%s)', pg_get_function_identity_arguments(p.oid)),
         proowner, proacl, 'f'::"char", 'routine',
         format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(p.oid)), 'routine'
  from pg_proc p join spaces s on s.oid = p.pronamespace
  where not exists (select from own where classid = 'pg_proc'::regclass and objid = p.oid)
  union all
  select t.oid, 'pg_type'::regclass, nspname, typname, '', typowner, typacl, 'T'::"char", 'type',
         format('%I.%I', nspname, typname), 'type'
  from pg_type t join spaces s on s.oid = t.typnamespace
  where (typtype in ('e', 'd') or typrelid in (select oid from relations where relkind = 'c'))
    and not exists (select from own where classid = 'pg_type'::regclass and objid = t.oid)
), rights as (
  -- Privileges other than those that come with being the owner, or with being anybody.
  select t.oid, t.class, t.schema, t.relation, t.name, t.noun, t.sql, '' as columns, coalesce(t.acl, d) as acl, d as usual
  from things t, acldefault(t.defaults, t.owner) d where t.acl is not null
  union all
  select r.oid, 'pg_attribute'::regclass, r.nspname, r.relname, a.attname, 'table',
         format('%I.%I', r.nspname, r.relname), format(' (%I)', a.attname), a.attacl, acldefault('c', r.relowner)
  from relations r join pg_attribute a on a.attrelid = r.oid and not a.attisdropped where a.attacl is not null
), granted as (
  select g.oid, class, schema, relation, name,
         format('%s %s on %s %s %s %s%s', g.verb, string_agg(lower(privilege_type) || columns, ', ' order by privilege_type), noun, sql, case g.verb when 'grant' then 'to' else 'from' end,
                case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
                case when is_grantable then ' with grant option' else '' end) as sql
  from (
    select 'grant' as verb, r.*, x.grantee, x.privilege_type, x.is_grantable from rights r, aclexplode(acl) x
    where not exists (select from aclexplode(usual) u where u.grantee = x.grantee
                      and u.privilege_type = x.privilege_type and u.is_grantable = x.is_grantable)
    union all
    select 'revoke', r.*, x.grantee, x.privilege_type, false from rights r, aclexplode(usual) x
    where not exists (select from aclexplode(acl) u where u.grantee = x.grantee and u.privilege_type = x.privilege_type)
  ) g group by g.verb, g.oid, class, schema, relation, name, noun, g.sql, grantee, is_grantable
), described as (
  select classoid, objoid, objsubid, ' is ' || quote_literal(description) as text from pg_description
)
select 'schema' as kind, nspname as schema, '' as relation, '' as name, 'schema' as definition,
       null::int as position, null::jsonb as "table"
from spaces where not exists (select from own where classid = 'pg_namespace'::regclass and objid = spaces.oid)
union all
select 'extension', '', '', extname, 'version ' || extversion, null, null
from pg_extension where extname <> 'plpgsql'
union all
select 'enum', s.nspname, t.typname, '',
       (select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder) from pg_enum where enumtypid = t.oid),
       null, null
from pg_type t join spaces s on s.oid = t.typnamespace
where t.typtype = 'e' and not exists (select from own where classid = 'pg_type'::regclass and objid = t.oid)
union all
select 'composite type', r.nspname, r.relname, '',
       (select string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' order by attnum)
        from pg_attribute where attrelid = r.oid and attnum > 0 and not attisdropped),
       null, null
from relations r where relkind = 'c'
union all
select 'domain', s.nspname, t.typname, '',
       format_type(t.typbasetype, t.typtypmod) || coalesce(' default ' || t.typdefault, '')
         || case when t.typnotnull then ' not null' else '' end
         || coalesce((select string_agg(format(' constraint %I %s', conname, pg_get_constraintdef(oid)), '' order by conname)
                      from pg_constraint where contypid = t.oid and contype = 'c'), ''),
       null, null
from pg_type t join spaces s on s.oid = t.typnamespace
where t.typtype = 'd' and not exists (select from own where classid = 'pg_type'::regclass and objid = t.oid)
union all
select 'sequence', r.nspname, r.relname, '',
       format('as %s increment by %s minvalue %s maxvalue %s cache %s%s%s', format_type(q.seqtypid, null),
              q.seqincrement, q.seqmin, q.seqmax, q.seqcache, case when q.seqcycle then ' cycle' else '' end,
              coalesce((select format(' owned by %s.%I', d.refobjid::regclass, a.attname)
                        from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                        where d.classid = 'pg_class'::regclass and d.objid = r.oid and d.deptype = 'a'
                          and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0), '')),
       null, null
from relations r join pg_sequence q on q.seqrelid = r.oid
where not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = r.oid and d.deptype = 'i')
union all
select 'table', t.nspname, t.relname, '',
       concat_ws(' ', case t.relpersistence when 'u' then 'unlogged' end, 'table',
                 'partition by ' || pg_get_partkeydef(t.oid),
                 case when t.relispartition then 'partition of '
                   || (select inhparent::regclass::text from pg_inherits where inhrelid = t.oid limit 1)
                   || ' ' || pg_get_expr(t.relpartbound, t.oid) end,
                 case when t.relrowsecurity then 'row level security' end,
                 case when t.relforcerowsecurity then 'forced' end,
                 'with (' || array_to_string(t.reloptions, ', ') || ')'),
       null,
       jsonb_build_object(
         'unlogged', t.relpersistence = 'u', 'rowSecurity', t.relrowsecurity,
         'partitionBy', pg_get_partkeydef(t.oid), 'bound', pg_get_expr(t.relpartbound, t.oid),
         'partitionOf', case when t.relispartition then
            (select inhparent::regclass::text from pg_inherits where inhrelid = t.oid limit 1) end,
         'inherits', case when not t.relispartition then
            (select jsonb_agg(inhparent::regclass::text order by inhseqno) from pg_inherits where inhrelid = t.oid) end)
from tables t
union all
select 'column', t.nspname, t.relname, a.attname,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod),
                 case when a.attcollation <> 0 and a.attcollation <> y.typcollation
                      then 'collate ' || a.attcollation::regcollation end,
                 case a.attidentity when 'a' then 'generated always as identity'
                                    when 'd' then 'generated by default as identity' end,
                 case a.attgenerated when 's' then 'generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ') stored'
                                     when 'v' then 'generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ') virtual'
                      else 'default ' || pg_get_expr(d.adbin, d.adrelid) end,
                 case when a.attnotnull then 'not null' end),
       a.attnum, null
from tables t
  join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.attislocal
  join pg_type y on y.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = t.oid and d.adnum = a.attnum
union all
select 'constraint', t.nspname, t.relname, c.conname, pg_get_constraintdef(c.oid), null, null
from tables t join pg_constraint c on c.conrelid = t.oid
where c.contype in ('p', 'u', 'x', 'c', 'f') and c.conparentid = 0 and c.conislocal
union all
select 'index', t.nspname, t.relname, i.relname,
       pg_get_indexdef(i.oid) || case when x.indisvalid then '' else ' INVALID' end, null, null
from relations t join pg_index x on x.indrelid = t.oid join pg_class i on i.oid = x.indexrelid
where t.relkind in ('r', 'p', 'm') and not i.relispartition
  and not exists (select from pg_constraint c where c.conindid = i.oid and c.conrelid = t.oid and c.contype in ('p', 'u', 'x'))
union all
select case r.relkind when 'v' then 'view' else 'materialized view' end, r.nspname, r.relname, '',
       pg_get_viewdef(r.oid), null, null
from relations r where r.relkind in ('v', 'm')
union all
select 'function', s.nspname, p.proname, pg_get_function_identity_arguments(p.oid), pg_get_functiondef(p.oid), null, null
from pg_proc p join spaces s on s.oid = p.pronamespace
where p.prokind in ('f', 'p', 'w') and not exists (select from own where classid = 'pg_proc'::regclass and objid = p.oid)
union all
select 'trigger', t.nspname, t.relname, g.tgname,
       pg_get_triggerdef(g.oid) || case g.tgenabled when 'O' then '' else ' /* ' || g.tgenabled::text || ' */' end, null, null
from relations t join pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal and g.tgparentid = 0
  join pg_proc p on p.oid = g.tgfoid
where p.pronamespace <> coalesce((select oid from pg_namespace where nspname = 'switchback'), 0)
union all
select 'rule', t.nspname, t.relname, w.rulename, pg_get_ruledef(w.oid), null, null
from relations t join pg_rewrite w on w.ev_class = t.oid and w.rulename <> '_RETURN'
union all
select 'policy', t.nspname, t.relname, p.polname,
       concat_ws(' ', 'as', case when p.polpermissive then 'permissive' else 'restrictive' end, 'for',
                 case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
                               when 'd' then 'delete' else 'all' end,
                 'to', (select string_agg(case role when 0 then 'public' else quote_ident(pg_get_userbyid(role)) end, ', ' order by role)
                        from unnest(p.polroles) role),
                 'using (' || pg_get_expr(p.polqual, p.polrelid) || ')',
                 'with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'), null, null
from tables t join pg_policy p on p.polrelid = t.oid
union all
select 'statistics', s.nspname, c.relname, x.stxname, pg_get_statisticsobjdef(x.oid), null, null
from pg_statistic_ext x join spaces s on s.oid = x.stxnamespace join pg_class c on c.oid = x.stxrelid
union all
select 'publication', s.nspname, c.relname, p.pubname, 'publishes the table', null, null
from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
  join pg_class c on c.oid = r.prrelid join spaces s on s.oid = c.relnamespace
union all
-- Owners other than that of the database.
select 'owner', schema, relation, name, format('alter %s %s owner to %I', owned, sql, pg_get_userbyid(owner)), null, null
from things where owner <> (select datdba from pg_database where datname = current_database())
  and pg_get_userbyid(owner) <> 'pg_database_owner'
  -- Such a sequence goes with its table.
  and not exists (select from pg_depend d where d.classid = things.class and d.objid = things.oid
                  and things.class = 'pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0)
union all
select 'privileges', schema, relation, name, string_agg(sql, '; ' order by sql), null, null
from granted group by class, oid, schema, relation, name
union all
select 'default privileges', coalesce(n.nspname, ''), '', pg_get_userbyid(a.defaclrole) || ' ' || k.kind,
       (select string_agg(format('alter default privileges for role %I%s grant %s on %s to %s%s', pg_get_userbyid(a.defaclrole),
                 ' in schema ' || quote_ident(n.nspname), lower(x.privilege_type), k.kind,
                 case x.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(x.grantee)) end,
                 case when x.is_grantable then ' with grant option' else '' end), '; ' order by x.grantee, x.privilege_type)
        from aclexplode(a.defaclacl) x where x.grantee <> a.defaclrole), null, null
from pg_default_acl a left join spaces n on n.oid = a.defaclnamespace,
  lateral (select case a.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
                                       when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end as kind) k
where a.defaclnamespace = 0 or n.oid is not null
union all
select 'comment', schema, relation, name, format('comment on %s %s', owned, t.sql) || d.text, null, null
from things t join described d on d.classoid = t.class and d.objoid = t.oid and d.objsubid = 0
union all
select 'comment', t.nspname, t.relname, a.attname, format('comment on column %I.%I.%I', t.nspname, t.relname, a.attname) || d.text,
       null, null
from relations t join pg_attribute a on a.attrelid = t.oid and not a.attisdropped
  join described d on d.classoid = 'pg_class'::regclass and d.objoid = t.oid and d.objsubid = a.attnum
union all
select 'comment', t.nspname, t.relname, 'index ' || i.relname, format('comment on index %I.%I', t.nspname, i.relname) || d.text, null, null
from relations t join pg_index x on x.indrelid = t.oid join pg_class i on i.oid = x.indexrelid
  join described d on d.classoid = 'pg_class'::regclass and d.objoid = i.oid and d.objsubid = 0
union all
select 'comment', t.nspname, t.relname, o.noun || ' ' || o.name,
       format('comment on %s %I on %I.%I', o.noun, o.name, t.nspname, t.relname) || d.text, null, null
from relations t join (
    select 'pg_constraint'::regclass as class, oid, conrelid as relid, 'constraint' as noun, conname as name from pg_constraint
    union all select 'pg_trigger'::regclass, oid, tgrelid, 'trigger', tgname from pg_trigger
    union all select 'pg_policy'::regclass, oid, polrelid, 'policy', polname from pg_policy
  ) o on o.relid = t.oid
  join described d on d.classoid = o.class and d.objoid = o.oid
order by 1, 2, 3, 4
