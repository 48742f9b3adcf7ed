import { type Isolation, LEVELS } from './history.ts'
import { MIGRATION } from './migration.ts'
import type { Rewrites, Scenario } from './round.ts'
import * as scenarios from './scenarios.ts'

/** The product without one of its guards. */
export interface Mutant {
  readonly name: string
  readonly scenario: Scenario
  /** Changes statements on their way; returns what it is given where the guard is not in it. */
  readonly engine?: (text: string) => string
  readonly application?: (text: string) => string
  /** Changes the port to each of two databases. */
  readonly half?: Rewrites['half']
  /** Run in the target before each round: the guard is in a function there. */
  readonly sql?: string
  /** Where its absence shows. The others have nothing to fear from it, by what their snapshots see. */
  readonly levels: readonly Isolation[]
}

/** Levels at which a transaction keeps on seeing what was there when it began. */
const SNAPSHOTS: readonly Isolation[] = ['repeatable read', 'serializable']

export const ENTER_WITHOUT_FENCE = `
  create or replace function switchback."enter:${MIGRATION}"(p_epoch bigint, p_key text) returns void
  language sql volatile as $$
    select pg_advisory_xact_lock(hashtextextended('${MIGRATION}' || chr(31) || p_key, 7305))
  $$`

/** The fence of the product, but for where the minimum is kept: a table, which is inside of snapshots. */
const minimumInTable = `
  create table if not exists switchback.minima (minimum bigint not null);
  delete from switchback.minima;
  insert into switchback.minima values (1);
  create or replace function switchback."enter:${MIGRATION}"(p_epoch bigint, p_key text) returns void
  language plpgsql volatile as $$
  begin
    if pg_try_advisory_xact_lock_shared(hashtext('switchback fence ${MIGRATION}'), p_epoch::int) then
      if p_epoch >= (select minimum from switchback.minima) then
        perform pg_advisory_xact_lock(hashtextextended('${MIGRATION}' || chr(31) || p_key, 7305));
        return;
      end if;
    end if;
    raise exception using errcode = 'SB001', message = 'the epoch has passed';
  end
  $$;
  create or replace function switchback."raise:${MIGRATION}"(p_epoch bigint) returns bigint
  language sql volatile as $$ update switchback.minima set minimum = p_epoch returning minimum $$`

export const MUTANTS: readonly Mutant[] = [
  {
    // A row that was written twice: what the look has read of it is older than what it overwrites.
    name: 'rows of old are not locked while they are looked at again',
    scenario: scenarios.updatedTwiceWhileFilled,
    levels: LEVELS,
    engine: (text) =>
      text.includes('for update skip locked') ? text.replace(/for no key update of \S+/, '') : text,
  },
  {
    // An upsert meets the unique key of the row that is being filled in; a plain update meets nothing.
    name: 'nobody looks again at what was written while an empty range was filled',
    scenario: scenarios.updatedWhileFilled,
    levels: LEVELS,
    engine: (text) => text.replaceAll(/age\(xmin\) <= \(select age\([^)]*\)\)/g, 'false'),
  },
  {
    name: 'the second look does not wait for transactions from before the end of the first',
    scenario: scenarios.updatedWhileFilled,
    levels: LEVELS,
    engine: (text) => (text.includes('backend_xmin') ? `select * from (${text}) older where false` : text),
  },
  {
    name: 'the copy does not overwrite',
    scenario: scenarios.copyingAgain,
    levels: LEVELS,
    engine: (text) =>
      text.includes('for update skip locked')
        ? text.replace(/do update\s+set[\s\S]*?returning 1/, 'do nothing returning 1')
        : text,
  },
  {
    name: 'dual operations do not lock their key',
    scenario: scenarios.colliding,
    levels: ['read committed'],
    application: (text) => text.replace(/("enter:[^"]+"\(\d+, )'[^']*'\)/, '$1null)'),
  },
  {
    name: 'nothing is swept after the copy',
    scenario: scenarios.removedWhileCopied,
    levels: LEVELS,
    engine: (text) =>
      text.includes('delete from "new_rows" as switchback_new') ? `${text} and false` : text,
  },
  {
    name: 'the sweep runs at READ COMMITTED',
    scenario: scenarios.sweeping,
    levels: LEVELS,
    engine: (text) => text.replace("isolation = 'repeatable read'", "isolation = 'read committed'"),
  },
  {
    name: 'the sweep does not wait for older snapshots',
    scenario: scenarios.removedWhileCopied,
    levels: SNAPSHOTS,
    engine: (text) => (text.includes('backend_xmin') ? `select * from (${text}) older where false` : text),
  },
  {
    name: 'the minimum of the fence is kept in a table',
    scenario: scenarios.fencing,
    levels: SNAPSHOTS,
    sql: minimumInTable,
  },
  { name: 'there is no fence', scenario: scenarios.fencing, levels: LEVELS, sql: ENTER_WITHOUT_FENCE },
]

/** The rewriting of a mutant, and whether it has changed anything at all. */
export function rewritesOf({
  engine,
  application,
  half,
  sql,
}: Mutant): Rewrites & { readonly hits: () => number } {
  let hits = 0
  const counting =
    (rewrite: ((text: string) => string) | undefined) =>
    (text: string): string => {
      const changed = rewrite?.(text) ?? text
      if (changed !== text) hits += 1
      return changed
    }
  return {
    engine: counting(engine),
    application: counting(application),
    ...(half === undefined ? {} : { half }),
    ...(sql === undefined ? {} : { reset: sql }),
    hits: () => hits,
  }
}
