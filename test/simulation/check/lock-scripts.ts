import { readScripts } from './script.ts'

/** Advisory locks, the fence and the repairs. */
export const LOCK_SCRIPTS = readScripts({
  'shared locks agree, an exclusive one waits': `
    a begin *
    a lock-s L
    b begin *
    b lock-s L
    c begin *
    c lock-x L
    a commit
    b commit
    c commit`,
  'a waiting exclusive request keeps later shared tries out': `
    a begin rc
    a lock-s L
    b lock-x L
    c begin *
    c try-s L
    a commit
    c try-s L
    c commit`,
  'a waiting exclusive request keeps later shared requests waiting': `
    a begin rc
    a lock-s L
    b begin rc
    b lock-x L
    c begin *
    c lock-s L
    a commit
    b commit
    c commit`,
  'who holds a lock gets it again though others wait': `
    a begin *
    a lock-s L
    b lock-x L
    a try-s L
    a lock-s L
    a try-x L
    a commit`,
  'who holds it alone may have it in the other mode': `
    a begin *
    a lock-s L
    a try-x L
    b try-s L
    a commit
    b try-s L`,
  'exclusive keeps everybody out': `
    a begin *
    a lock-x L
    a try-s L
    b try-s L
    b try-x L
    a commit
    b try-x L`,
  'two that hold it shared cannot both have it exclusively': `
    a begin rc
    b begin rc
    a lock-s L
    b lock-s L
    a lock-x L
    b! lock-x L
    b rollback
    a commit`,
  'a lock of the session outlives the transaction': `
    a begin *
    a lock-x-session L
    a rollback
    b try-x L
    a unlock-x L
    a unlock-x L
    b try-x L`,
  'a lock of the session is counted': `
    a lock-x-session L
    a lock-x-session L
    a unlock-x L
    b try-x-session L
    a unlock-x L
    b try-x-session L`,
  'a lock of the transaction ends with it': `
    a begin *
    a lock-x L
    b lock-x L
    a commit
    b try-x L`,
  'rolling back to a savepoint releases locks taken since': `
    a begin *
    a lock-x K
    a savepoint s
    a lock-x L
    b begin rc
    b try-x K
    b lock-x L
    a rollback-to s
    b commit
    a commit`,
  'a failed statement releases the locks at once': `
    a begin rc
    a lock-x L
    b lock-x L
    a insert old k1 9
    a rollback`,
  'a failed statement in a savepoint keeps the locks from before': `
    a begin rc
    a lock-x K
    a savepoint s
    a lock-x L
    b begin rc
    b lock-x L
    a insert old k1 9
    b try-x K
    a rollback-to s
    a commit
    b try-x K
    b commit`,
  'a bounded wait': `
    a begin rc
    a lock-s L
    b! lock-x-briefly L
    c try-s L
    a commit
    b lock-x-briefly L
    c try-s L`,
  'a row and a lock in opposite order': `
    a begin rc
    b begin rc
    a lock-x L
    b append old k1 b
    a append old k1 a
    b! lock-x L
    b rollback
    a commit`,
  'two locks in opposite order': `
    a begin *
    b begin *
    a lock-x K
    b lock-x L
    a lock-x L
    b! lock-x K
    b rollback
    a commit`,
  'the queue is served in order': `
    a lock-x-session L
    b lock-s-session L
    c lock-s-session L
    d lock-x-session L
    a unlock-x L
    b unlock-s L
    c unlock-s L`,
})

export const FENCE_SCRIPTS = readScripts({
  'a passed epoch is told at once, the next goes through, the key comes last': `
    a begin-enter * 1 k1
    m raise 2
    b begin-enter * 1 k2
    c begin-enter * 2 k2
    m fence 1
    d begin-enter * 1 k3
    c commit
    b rollback
    a append old k1 a
    a commit
    m fence-release 1
    d rollback`,
  'an older snapshot sees the newest minimum': `
    a begin *
    a get old k1
    m raise 2
    a enter 1 k1
    a commit`,
  'who waits for the fence keeps the epoch out even before the minimum is raised': `
    a begin-enter * 1 k1
    m fence 1
    b begin-enter * 1 k2
    a commit
    m fence-release 1
    b rollback
    b begin-enter * 1 k2
    b commit`,
  'the minimum never falls': `
    m raise 3
    m raise 2
    m minimum
    m begin *
    m raise 5
    m rollback
    m minimum`,
  'raising is done one at a time': `
    a begin rc
    a raise 3
    b raise 2
    a commit
    b minimum`,
  'entering waits for the key; the snapshot of the transaction is from before': `
    a begin-enter rc 1 k1
    a update old k1 9
    b begin-enter * 1 k1
    c begin-enter * 1 k2
    c commit
    a commit
    b get old k1
    b append old k1 b
    b commit
    b get old k1`,
  'a delete behind an insert of the same key': `
    a begin-enter rc 1 k3
    a insert old k3 a
    a insert new k3 a
    b begin-enter * 1 k3
    a commit
    b delete old k3
    b delete new k3
    b commit
    b compare`,
  'an upsert behind an insert of the same key': `
    a begin-enter rc 1 k3
    a insert old k3 a
    b begin-enter * 1 k3
    a commit
    b upsert old k3 b
    b commit
    b get old k3`,
  'entering without a key': `
    a begin-enter * 1 k1
    b begin-enter * 1
    b append old k1 b
    b commit
    a append old k1 a
    a commit`,
  'a refused transaction is open and failed': `
    m raise 2
    a begin-enter * 1 k1
    a get old k1
    a commit
    a get old k1`,
})

export const REPAIR_SCRIPTS = readScripts({
  'one path behind': `
    a begin *
    a queue k1 new
    a open k1 new
    b open k1 new
    a commit
    b open k1 new
    b open k1 old`,
  'both paths behind are refused': `
    a queue k1 new
    b begin *
    b queue k2 old
    b queue k1 old
    b open k2 old
    b rollback
    b open k2 old`,
  'the other path under way is waited for': `
    a begin *
    b begin *
    a queue k1 new
    b queue k1 old
    a commit
    b commit
    c open k1 new
    c open k1 old`,
  'queued twice': `
    a begin *
    b begin *
    a queue k1 new
    b queue k1 new
    a commit
    b commit`,
  'queued again after it was queued since the snapshot': `
    a begin *
    a get old k1
    b queue k1 new
    a queue k1 new
    a commit`,
  'the other path queued since the snapshot, which does not show it': `
    a begin *
    a get old k1
    b queue k1 old
    a queue k1 new
    a commit`,
})
