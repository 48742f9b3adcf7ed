import type pg from 'pg'
import { COPY_ALL, freshTables, nextOrder, withExecution } from '../copy-tables.ts'
import { writeBoth } from '../copy-traffic.ts'
import type { SuiteOptions, SuiteResult } from '../main.ts'
import { median } from '../measure.ts'
import { openPool, ROOMY, withPostgres } from '../support.ts'

const ROUNDS = 5
const CHUNK = 10_000
const PLANTED = 1_000

/**
 * Proving two tables equal: `count(*)` of both, one full join, the join in chunks and nothing else, and ours.
 * Then 1,000 differences are planted, and exactly those keys found while writes go on.
 */
export function run(say: (line: string) => void, options: SuiteOptions): Promise<SuiteResult> {
  const rows = options.rows ?? 1_000_000
  return withPostgres(async ({ url }) => {
    const pool = openPool(url)
    try {
      await freshTables(pool, rows)
      await pool.query(COPY_ALL)
      await pool.query('vacuum (analyze) profiles')
      await pool.query('checkpoint')
      const times = new Map<string, number[]>()
      return await withExecution(url, 1, async (execution) => {
        const contestants: Readonly<Record<string, () => Promise<unknown>>> = {
          count: () => pool.query('select (select count(*) from users), (select count(*) from profiles)'),
          fullJoin: () => fullJoin(pool),
          chunkedJoin: () => chunkedJoin(pool),
          ours: async () => {
            const { divergences, detail } = await execution.run('verify', nextOrder())
            if (divergences !== 0 || detail.compared !== rows) throw new Error(JSON.stringify(detail))
          },
        }
        for (const work of Object.values(contestants)) await work()
        for (let round = 0; round < (options.rounds ?? ROUNDS); round++) {
          for (const [name, work] of Object.entries(contestants)) {
            const start = performance.now()
            await work()
            const ms = performance.now() - start
            times.set(name, [...(times.get(name) ?? []), ms])
            say(`round ${round + 1} ${name} ${ms.toFixed(0)} ms`)
          }
        }
        const of = (name: string) => times.get(name) ?? []
        const over = (name: string) => median(of('ours').map((ms, i) => ms / (of(name)[i] ?? Number.NaN)))
        const planted = await plant(pool, rows)
        await recordRepairs(pool)
        const { found, writes } = await underWrites(pool, rows, () => execution.run('verify', nextOrder()))
        const keys = await compareKeys(pool, planted)
        say(`planted ${planted.length}, ${writes} writes meanwhile: ${JSON.stringify({ ...found, ...keys })}`)
        return {
          suite: 'verify',
          ratios: { vsJoin: over('chunkedJoin'), vsFullJoin: over('fullJoin'), vsCount: over('count') },
          rows,
          milliseconds: Object.fromEntries(
            [...times].map(([name, values]) => [name, values.map(Math.round)]),
          ),
          planted: { differences: planted.length, writes, ...found, ...keys },
        }
      })
    } finally {
      await pool.end()
    }
  }, ROOMY)
}

const UNEQUAL = `(u.name is distinct from p.name or u.email is distinct from p.email or u.bio is distinct from p.bio
  or u.preferences is distinct from p.preferences or u.created_at is distinct from p.created_at)`

async function fullJoin(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query(
    `select u.id from users u full join profiles p on u.id = p.user_id
     where u.id is null or p.user_id is null or ${UNEQUAL}`,
  )
  if (rows.length > 0) throw new Error('the tables differ')
}

/** What a script would do that knows the keys to be dense; no bounds are looked up. */
async function chunkedJoin(pool: pg.Pool): Promise<void> {
  const { rows: last } = await pool.query<{ id: string }>('select max(id) as id from users')
  const client = await pool.connect()
  try {
    for (let after = 0; after < Number(last[0]?.id ?? 0); after += CHUNK) {
      const { rows } = await client.query({
        name: 'chunked join',
        text: `select u.id from (select * from users where id > $1 and id <= $2) u
          full join (select * from profiles where user_id > $1 and user_id <= $2) p on u.id = p.user_id
          where u.id is null or p.user_id is null or ${UNEQUAL}`,
        values: [after, after + CHUNK],
      })
      if (rows.length > 0) throw new Error('the tables differ')
    }
  } finally {
    client.release()
  }
}

/** Differences of all three kinds, spread over the table; returns the keys. */
async function plant(pool: pg.Pool, rows: number): Promise<readonly number[]> {
  const step = Math.floor(rows / PLANTED)
  const keys = Array.from({ length: PLANTED }, (_, i) => (i + 1) * step)
  const third = (n: number) => keys.filter((_, i) => i % 3 === n)
  await pool.query('delete from profiles where user_id = any($1)', [third(0)])
  await pool.query('delete from users where id = any($1)', [third(1)])
  await pool.query(`update profiles set bio = bio || '!' where user_id = any($1)`, [third(2)])
  return keys
}

/** From now on each key whose row of new the engine writes is written down by the database itself. */
const recordRepairs = (pool: pg.Pool): Promise<unknown> =>
  pool.query(`
    drop table if exists repaired;
    create table repaired (id bigint);
    create or replace function record_repair() returns trigger language plpgsql as $$
      begin
        insert into repaired values (coalesce(new.user_id, old.user_id));
        return null;
      end $$;
    create trigger record_repair after insert or update or delete on profiles for each row
      when (current_setting('switchback.engine', true) = 'on') execute function record_repair()`)

/** How many of the planted keys were repaired, how many were missed, and how many others were touched. */
async function compareKeys(pool: pg.Pool, planted: readonly number[]): Promise<KeysFound> {
  const { rows } = await pool.query<KeysFound & pg.QueryResultRow>(
    `select count(*) filter (where p.id is not null and r.id is not null)::int as "found",
            count(*) filter (where r.id is null)::int as "missed",
            count(*) filter (where p.id is null)::int as "invented"
     from unnest($1::bigint[]) p(id) full join (select distinct id from repaired) r on r.id = p.id`,
    [planted],
  )
  const [row] = rows
  if (row === undefined || row.missed > 0 || row.invented > 0) throw new Error(JSON.stringify(row))
  return row
}

interface KeysFound {
  readonly found: number
  readonly missed: number
  readonly invented: number
}

interface Found {
  readonly repaired: unknown
  readonly passes: unknown
  readonly divergences: number
}

/** Guarded dual writes, one after the other, of keys that no difference was planted at. */
async function underWrites(
  pool: pg.Pool,
  rows: number,
  verify: () => Promise<{ divergences: number; detail: Readonly<Record<string, unknown>> }>,
): Promise<{ found: Found; writes: number }> {
  const step = Math.floor(rows / PLANTED)
  const client = await pool.connect()
  let ended = false
  let writes = 0
  try {
    const outcome = verify().finally(() => {
      ended = true
    })
    for (let key = 1; !ended; key = (key + 7919) % rows) {
      if (key % step === 0) continue
      await writeBoth(client, key)
      writes += 1
    }
    const { divergences, detail } = await outcome
    return { found: { repaired: detail.repaired, passes: detail.passes, divergences }, writes }
  } finally {
    client.release()
  }
}
