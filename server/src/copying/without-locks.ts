import type { Mapping } from '../mapping/mapping.ts'
import type { Sql } from '../target/target.ts'
import { tablesByBlocks } from '../walks/blocks.ts'

/**
 * Whether rows of old may be copied without being locked: those that are written meanwhile are then looked at again.
 *
 * - Old is made of tables: their rows say by which transaction they were written.
 * - Transactions of other roles can be seen: those that may have missed a row of new are waited for.
 * - Nothing in new ties its rows to others. Until the second look and the sweep, new may have what old had before a
 *   write that was under way. Were it in the way of a unique email, or of a foreign key, the application would fail.
 */
export async function maySkipLocks(on: Sql, mapping: Mapping): Promise<boolean> {
  if ((await tablesByBlocks(on, mapping)) === undefined) return false
  const { rows } = await on.query<{ sees: boolean; tied: boolean }>(
    `with tables as (
       select to_regclass($1)::oid as oid union select relid::oid from pg_partition_tree(to_regclass($1))
     )
     select pg_has_role(current_user, 'pg_read_all_stats', 'usage') as sees,
       exists (select from pg_constraint c join tables t on t.oid = c.conrelid where c.contype = 'f')
       or exists (
         select from pg_index i join tables t on t.oid = i.indrelid
         where i.indisexclusion or i.indisunique and not ($2::text[] <@ array(
           select a.attname::text from unnest(i.indkey::int2[]) with ordinality k(attnum, place)
             join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
           where k.place <= i.indnkeyatts))) as tied`,
    [mapping.to.table, mapping.keyColumns.map(({ name }) => name)],
  )
  return rows[0]?.sees === true && !rows[0].tied
}
