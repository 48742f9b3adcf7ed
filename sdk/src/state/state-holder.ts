import type { Change, Snapshot } from '@switchback/migrations-registry'
import type { Log } from '../log.ts'
import { applyChange, applySnapshot, type ClientState, EMPTY_STATE, type Outcome } from './client-state.ts'

/** The state of this instance, and who is told when it changes. */
export interface StateHolder {
  readonly current: ClientState
  /** Messages that could not be read. */
  badMessages: number
  /** Times that something older than what is held was offered, and left out. */
  readonly refusals: number
  snapshot(snapshot: Snapshot): void
  /** `gap`: something was missed, and everything has to be fetched. */
  change(change: Change): 'done' | 'gap'
}

export interface StateListener {
  changed(state: ClientState, migrations: readonly string[], flags: readonly string[]): void
}

export function createStateHolder(log: Log, listener: StateListener): StateHolder {
  let current = EMPTY_STATE
  let refusals = 0

  const take = (outcome: Outcome, offered: number): 'done' | 'gap' => {
    if (outcome.kind === 'gap') return 'gap'
    if (outcome.kind === 'older') {
      refusals++
      log.error(
        'the server is behind what this instance holds; nothing is taken from it until it has caught up',
        {
          held: current.revision,
          offered,
        },
      )
    }
    if (outcome.kind !== 'applied') return 'done'
    current = outcome.state
    if (outcome.refused.length > 0) {
      refusals += outcome.refused.length
      log.error('left out: older than what is held, or not readable', { refused: outcome.refused })
    }
    listener.changed(current, outcome.migrations, outcome.flags)
    return 'done'
  }

  return {
    get current() {
      return current
    },
    badMessages: 0,
    get refusals() {
      return refusals
    },
    snapshot: (snapshot) => void take(applySnapshot(current, snapshot), snapshot.revision),
    change: (change) => take(applyChange(current, change), change.revision),
  }
}
