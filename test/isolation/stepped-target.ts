import type { Connection, Sql, Target } from '@switchback/server'
import type { Actor, StepOptions, Stepper } from './stepper.ts'

/** Changes the text of a statement; how guards are taken out. */
export type Rewrite = (text: string) => string

/** Looks for transactions with older snapshots. */
const OLDER = /backend_xmin/
/** Estimates, plans, types and checks of the mapping: nothing that is decided hangs on when they run. */
const PREPARATION =
  /^explain |select count\(\*\) as count|sample on false|^\s*select from \S+ where \(\(.*is null/s
const TOUCHES = /"(old|new)_rows"|switchback\.lock_key|pg_current_xact_id|"raise:|select pg_advisory_lock\(/
const REPAIRS = /select key, path from switchback\.repairs|for update skip locked$/
const ENDS = /^(commit|rollback)$/

/** A short name of a statement of the engine, for traces; undefined where its time makes no difference. */
function engineStep(text: string): string | undefined {
  if (PREPARATION.test(text)) return undefined
  if (OLDER.test(text)) return 'look for older snapshots'
  if (TOUCHES.test(text) || REPAIRS.test(text)) {
    const flat = text.replaceAll(/\s+/g, ' ').trim()
    return flat.includes('switchback.checkpoints c set done') ? 'copy a chunk' : flat.slice(0, 60)
  }
  return undefined
}

/**
 * A target whose statements wait for the scheduler. What only prepares the work runs freely: it would multiply
 * the schedules and tell nothing.
 */
export function steppedTarget(
  target: Target,
  actor: Actor,
  stepper: Stepper,
  rewrite: Rewrite,
  stepLabel: (text: string) => string | undefined = engineStep,
): Target {
  const plain =
    (ask: Sql['query']): Sql['query'] =>
    (text, params) => {
      const label = stepLabel(text)
      return actor.run(undefined, label === undefined ? undefined : { label }, () =>
        ask(rewrite(text), params),
      )
    }

  function stepped(connection: Connection): Connection {
    // Whether this transaction has done something whose commit matters.
    let worked = false
    let looked: number | undefined
    const stepOf = (text: string): StepOptions | undefined => {
      if (ENDS.test(text)) return worked ? { label: text } : undefined
      const label = stepLabel(text)
      if (label === undefined) return undefined
      const since = looked
      // Looking again can find something else only when a transaction has ended meanwhile.
      return since === undefined ? { label } : { label, ready: () => stepper.ended > since }
    }
    const query =
      (ask: Sql['query']): Sql['query'] =>
      async (text, params) => {
        const step = stepOf(text)
        if (ENDS.test(text)) worked = false
        else if (step !== undefined) worked = true
        try {
          return await actor.run(connection.pid, step, () => ask(rewrite(text), params))
        } finally {
          if (step !== undefined && !OLDER.test(text)) stepper.ended += 1
          looked = OLDER.test(text) ? stepper.ended : undefined
        }
      }
    return { ...connection, query: query(connection.query), prepared: query(connection.prepared) }
  }

  return {
    query: plain(target.query),
    aside: {
      query: plain(target.aside.query),
      connection: (work) => target.aside.connection((connection) => work(stepped(connection))),
    },
    connection: (work) => target.connection((connection) => work(stepped(connection))),
    cancellable: (signal, work) => target.cancellable(signal, (connection) => work(stepped(connection))),
    // Shared by the actors of a round, and by rounds.
    end: async () => undefined,
  }
}
