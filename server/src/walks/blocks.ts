import type { Key } from '../mapping/keyset.ts'
import type { Mapping } from '../mapping/mapping.ts'
import type { Sql } from '../target/target.ts'
import { CopyOutdated } from './copy-outdated.ts'
import type { Blocks, Part } from './walk.ts'

/** Thrown where the rows of a table have got other places since the copy began: it begins anew. */
export class TableRewritten extends CopyOutdated {
  constructor(table: string) {
    super(`${table} was written anew (VACUUM FULL, CLUSTER, ALTER TABLE) while it was copied`)
  }
}

interface Leaf extends Record<string, unknown> {
  readonly table: string
  readonly name: string
  readonly kind: string
  readonly blocks: number
  readonly rows: number
  readonly filenode: number | null
}

/**
 * The tables that hold the rows of old: itself, its partitions, its heirs. Undefined where one of them has no
 * blocks that a range could be made of: a view, a foreign table.
 */
export async function tablesByBlocks(on: Sql, { old }: Mapping): Promise<readonly Part[] | undefined> {
  const { rows } = await on.query<Leaf>(
    `with recursive family as (
       select to_regclass($1)::oid as oid
       union select i.inhrelid from pg_inherits i join family f on i.inhparent = f.oid
     )
     select format('%I.%I', n.nspname, c.relname) as table, c.relname as name, c.relkind as kind,
            (pg_relation_size(c.oid) / current_setting('block_size')::int)::float8 as blocks,
            greatest(c.reltuples, 0)::float8 as rows, pg_relation_filenode(c.oid)::bigint as filenode
     from family f join pg_class c on c.oid = f.oid join pg_namespace n on n.oid = c.relnamespace
     where c.relkind <> 'p' order by c.relname, c.oid`,
    [old.table],
  )
  if (rows.length === 0 || rows.some(({ kind, filenode }) => kind !== 'r' || filenode === null))
    return undefined
  return rows.map(({ table, name, blocks, rows: guessed, filenode }) => ({
    name,
    // Never analysed: a guess by which the first ranges are cut; later ones follow how long these took.
    rows: guessed > 0 ? guessed : blocks * 50,
    blocks: { table, count: blocks, filenode: filenode ?? 0 },
  }))
}

/** @throws TableRewritten where the rows of a part are elsewhere now */
export async function requireSameBlocks(on: Sql, { table, filenode }: Blocks): Promise<void> {
  const { rows } = await on.query<{ filenode: number | null }>(
    'select pg_relation_filenode(to_regclass($1))::bigint as filenode',
    [table],
  )
  if (rows[0]?.filenode !== filenode) throw new TableRewritten(table)
}

const blockOf = (key: Key): number => Number(/^\((\d+),/.exec(key[0] ?? '')?.[1] ?? 0)

/** The place before the first row of a block: rows of a block count from 1. */
export const beforeBlock = (block: number): Key => [`(${block},0)`]

/** Where a range of about `size` rows ends: at the end of a block. */
export function afterBlocks({ rows, blocks }: Part, after: Key | undefined, size: number): Key {
  const all = blocks?.count ?? 0
  const count = Math.max(1, Math.round((size * all) / Math.max(1, rows)))
  return beforeBlock(Math.min(all, (after === undefined ? 0 : blockOf(after)) + count))
}
