import { connect, pgTransaction, StaleEpochError } from '@switchback/sdk'
import type pg from 'pg'
import { waitFor } from '../support/index.ts'

export const ACCOUNTS = 'accounts'

export const DEFINITION = `
id: ${ACCOUNTS}
title: Balances move to their own table
copy:
  from: accounts
  to: balances
  key: { account_id: id }
  columns: { balance: balance, note: note }
  chunk: { min: 50, max: 200 }
  throttle: { rowsPerSecond: 6000 }
`

export const EXPAND =
  'create table balances (account_id int primary key, balance smallint not null, note text);'

/** Accounts, the application that writes them through the router, and what was acknowledged to it. */
export interface Accounts {
  /** Writes without end until the traffic is stopped; resolves to how many were acknowledged. */
  readonly traffic: Promise<number>
  stopTraffic(): void
  /** Accounts whose newest acknowledged write is not in old. */
  lost(): Promise<readonly number[]>
  close(): Promise<void>
}

export async function openAccounts(
  pool: pg.Pool,
  options: {
    readonly url: string
    readonly token: string
    readonly rows: number
    readonly kept: readonly number[]
  },
): Promise<Accounts> {
  const client = await connect({
    url: options.url,
    token: options.token,
    app: 'accounts',
    version: '1',
  })
  type Tx = Pick<pg.Pool, 'query'>
  const accounts = client.migration(ACCOUNTS, {
    key: (id: number) => String(id),
    transaction: pgTransaction(pool),
    read: {
      old: (id: number) => pool.query('select balance, note from accounts where id = $1', [id]),
      new: (id: number) => pool.query('select balance, note from balances where account_id = $1', [id]),
    },
    write: {
      old: (id: number, tx: Tx, note: string) =>
        tx.query('update accounts set note = $2 where id = $1', [id, note]),
      // Of new only what has changed, as applications do: the rest has to come from the copy.
      new: (id: number, tx: Tx, note: string) =>
        tx.query('update balances set note = $2 where account_id = $1', [id, note]),
    },
    remove: {
      old: (id: number, tx: Tx) => tx.query('delete from accounts where id = $1', [id]),
      new: (id: number, tx: Tx) => tx.query('delete from balances where account_id = $1', [id]),
    },
  })
  await client.ready()
  const acknowledged = new Map<number, string | undefined>()
  let stopped = false

  /** A write of an epoch that has passed did nothing; it is tried again until the news have come. */
  const patiently = (write: () => Promise<unknown>): Promise<boolean> => {
    let fault: unknown
    return waitFor(
      async () => {
        fault = undefined
        await write().catch((error: unknown) => {
          if (error instanceof StaleEpochError) throw error
          fault = error
        })
        return true
      },
      { what: 'the present epoch', timeoutMs: 60_000 },
    ).then((done) => {
      if (fault !== undefined) throw fault
      return done
    })
  }

  async function write(): Promise<number> {
    let writes = 0
    for (let n = 0; !stopped; n++) {
      const id = 1 + ((n * 7919) % options.rows)
      if (acknowledged.has(id) && acknowledged.get(id) === undefined) continue
      const note = n % 11 === 0 && !options.kept.includes(id) ? undefined : `write ${n}`
      await patiently(() => (note === undefined ? accounts.remove(id) : accounts.write(id, note)))
      acknowledged.set(id, note)
      writes += 1
    }
    return writes
  }

  return {
    traffic: write(),
    stopTraffic: () => {
      stopped = true
    },
    lost: async () => {
      const { rows } = await pool.query<{ id: number; note: string }>('select id, note from accounts')
      const found = new Map(rows.map(({ id, note }) => [id, note]))
      return [...acknowledged].flatMap(([id, note]) => (found.get(id) === note ? [] : [id]))
    },
    close: () => client.close(),
  }
}
