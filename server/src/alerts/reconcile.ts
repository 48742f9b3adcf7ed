import { z } from 'zod'
import type { Clock } from '../db/clock.ts'
import type { Queryable } from '../db/db.ts'
import { signalsOfAlertmanager } from '../receivers/alertmanager.ts'
import type { AlertInbox } from './alert-inbox.ts'

/** Alerts as Alertmanager lists them: like those that it sends, but for the status. */
const listSchema = z.array(
  z.looseObject({
    labels: z.record(z.string(), z.string()),
    annotations: z.record(z.string(), z.string()).catch({}),
    startsAt: z.iso.datetime({ offset: true }),
    fingerprint: z.string().min(1),
    generatorURL: z.string().optional().catch(undefined),
  }),
)

export interface Reconciliation {
  /** Looks once; resolves to how many alerts were found that had never arrived. */
  look(): Promise<number>
  start(): void
  stop(): Promise<void>
}

export interface ReconciliationDeps {
  readonly db: Queryable
  readonly clock: Clock
  readonly inbox: Pick<AlertInbox, 'receive'>
  /** Where Alertmanager listens; may carry user and password. */
  readonly url: string
  readonly intervalMs: number
  readonly onFault: (error: unknown) => void
}

const TIMEOUT_MS = 5_000
/** Its delivery may be on its way. */
const GRACE_MS = 5_000
const SENDER = { id: 'reconciliation' }

/**
 * Asks Alertmanager for alerts that fire and have never arrived here: a delivery that was answered 4xx on its way, or
 * given up while this server was away, is not sent again before the group's next turn.
 */
export function createReconciliation(deps: ReconciliationDeps): Reconciliation {
  const { db, clock, inbox, url, intervalMs, onFault } = deps
  let timer: NodeJS.Timeout | undefined
  let running: Promise<unknown> | undefined

  async function firing() {
    const base = new URL(url)
    const { username, password } = base
    base.username = ''
    base.password = ''
    const from = new URL(`${base.href.replace(/\/+$/, '')}/api/v2/alerts`)
    from.search = 'active=true&silenced=false&inhibited=false&unprocessed=false'
    const basic = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`)
    const response = await fetch(from, {
      headers: username === '' ? {} : { authorization: `Basic ${basic.toString('base64')}` },
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    if (!response.ok) throw new Error(`Alertmanager answered ${response.status}`)
    return listSchema.parse(await response.json())
  }

  async function look(): Promise<number> {
    const now = clock()
    const listed = (await firing()).filter(({ startsAt }) => now - Date.parse(startsAt) >= GRACE_MS)
    if (listed.length === 0) return 0
    const alerts = listed.map((alert) => ({ ...alert, status: 'firing' as const }))
    const signals = signalsOfAlertmanager({ alerts }, now)
    const oldest = Math.min(...signals.map((signal) => signal.startedAt))
    // What came through an alert source has the source before its key.
    const { rows } = await db.query<{ key: string }>(
      `select key from unnest($1::text[]) as key where exists (
         select from alerts where source = 'alertmanager' and received_at >= $2
           and right(dedup_key, length(key)) = key)`,
      [signals.map((signal) => signal.dedupKey), new Date(oldest - GRACE_MS)],
    )
    const known = new Set(rows.map((row) => row.key))
    const missed = signals.filter((signal) => !known.has(signal.dedupKey))
    if (missed.length > 0) await inbox.receive(missed, SENDER)
    return missed.length
  }

  return {
    look,
    start: () => {
      timer ??= setInterval(() => {
        running ??= look()
          .catch(onFault)
          .finally(() => {
            running = undefined
          })
      }, intervalMs).unref()
    },
    stop: async () => {
      clearInterval(timer)
      await running
    },
  }
}
