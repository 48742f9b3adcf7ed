import { readScripts } from './script.ts'

/** Copy, sweep and comparison beside writers: the hazards of dual write and backfill. */
export const COPY_SCRIPTS = readScripts({
  'the copy waits for a writer and takes what it wrote': `
    a begin rc
    a update old k1 9
    b begin *
    b copy
    a commit
    b commit
    b compare`,
  'the copy waits for a writer that is rolled back': `
    a begin rc
    a update old k1 9
    b begin *
    b copy
    a rollback
    b commit
    b compare`,
  'the copy waits for a delete and leaves the row out': `
    a begin rc
    a delete old k2
    b begin *
    b copy
    a commit
    b commit
    b compare`,
  'without the row lock the copy takes what was there before': `
    a begin rc
    a update old k1 9
    a update new k1 9
    b begin *
    b copy-without-lock
    a commit
    b commit
    b compare`,
  'without the row lock the copy brings back a deleted row': `
    a begin rc
    a delete old k2
    a delete new k2
    b begin *
    b copy-without-lock
    a commit
    b commit
    b compare`,
  'without overwriting the copy leaves what is there': `
    a update old k1 9
    b begin *
    b copy-without-overwrite
    b commit
    b compare`,
  'a writer waits for the copy': `
    b begin *
    b copy
    a begin *
    a update old k1 9
    b commit
    a upsert new k1 9
    a commit
    a compare`,
  'a delete that does not see the row just copied': `
    a begin *
    a get old k1
    b copy
    a delete old k2
    a delete new k2
    a commit
    a compare`,
  'an update that does not see the row just copied': `
    a begin *
    a get old k1
    b copy
    a update old k2 9
    a update new k2 9
    a commit
    a compare`,
  'an upsert of the row just copied': `
    a begin *
    a get old k1
    b copy
    a update old k2 9
    a upsert new k2 9
    a commit
    a compare`,
  'an update behind a repair of its key': `
    b begin-enter rc 1 k2
    a begin-enter * 1 k2
    b lock old k2
    b upsert-different new k2 2
    b commit
    a update old k2 9
    a update new k2 9
    a commit
    a compare`,
  'a delete behind a repair of its key': `
    b begin-enter rc 1 k2
    a begin-enter * 1 k2
    b lock old k2
    b upsert-different new k2 2
    b commit
    a delete old k2
    a delete new k2
    a commit
    a compare`,
  'a delete behind a repair that has written the source row too': `
    b begin-enter rc 1 k2
    a begin-enter * 1 k2
    b update old k2 2
    b upsert-different new k2 2
    b commit
    a delete old k2
    a delete new k2
    a commit
    a compare`,
  'a copied row deleted since': `
    a begin *
    a get old k1
    b copy
    a delete old k1
    a delete new k1
    a commit
    a compare`,
  'a copy that waits has written the rows before': `
    a begin rc
    a lock old k2
    a upsert old k0 0
    b begin *
    b copy
    c upsert new k1 9
    a commit
    b commit
    b compare`,
  'the copy does not see a row inserted after its snapshot': `
    a begin rc
    a lock old k1
    b begin *
    b copy
    c insert old k3 3
    a commit
    b commit
    b compare`,
  'two copies of the same rows': `
    a begin *
    b begin *
    a copy
    b copy
    a commit
    b commit
    b compare`,
  'a copy and a dual write of the same key': `
    a begin-enter rc 1 k2
    a append old k2 a
    b begin *
    b copy
    a upsert new k2 2a
    a commit
    b commit
    b compare`,
  'a copy and a dual write that goes new before old': `
    a begin rc
    a append new k1 a
    b begin rc
    b copy
    a commit
    b! append old k1 a
    b rollback`,
  'opposite orders of a copy and a writer deadlock': `
    a begin rc
    b begin rc
    b append new k1 b
    a update old k1 7
    a upsert new k1 7
    b! append old k1 b
    b rollback
    a commit
    a compare`,
  'the sweep removes what old does not have': `
    a insert new k9 9
    b begin *
    b sweep
    b commit
    b scan new`,
  'a sweep that meets a row just written again': `
    c insert new k3 3
    a begin-enter rc 1 k3
    a insert old k3 9
    a upsert new k3 9
    b begin *
    b sweep
    a commit
    b commit
    b compare`,
  'a sweep that meets a row written again since its snapshot': `
    c insert new k3 3
    b begin *
    b get old k1
    a begin-enter rc 1 k3
    a insert old k3 9
    a upsert new k3 9
    a commit
    b sweep
    b commit
    b compare`,
  'a sweep that meets a row deleted meanwhile': `
    c insert new k3 3
    a begin rc
    a delete new k3
    b begin *
    b sweep
    a commit
    b commit`,
  'a sweep that meets a row deleted and written again': `
    c insert new k3 3
    a begin rc
    a delete new k3
    a insert old k3 9
    a insert new k3 9
    b begin *
    b sweep
    a commit
    b commit
    b compare`,
  'the comparison sees both paths in one snapshot': `
    a begin *
    a compare
    b update old k1 9
    a compare
    b update new k1 9
    a compare
    a commit
    a compare`,
})

/** Which snapshots may still be in use: what the sweep waits for. */
export const HORIZON_SCRIPTS = readScripts({
  'a transaction that has read': `
    a begin *
    a get old k1
    x xid
    x older
    a commit
    x older`,
  'a transaction that has not read yet': `
    a begin *
    x xid
    x older
    a get old k1
    x older
    a commit`,
  'a transaction that began to read afterwards': `
    x xid
    a begin *
    a get old k1
    x older
    a commit`,
  'a statement that waits': `
    c begin rc
    c lock old k1
    a begin *
    a append old k1 a
    x xid
    x older
    c commit
    x older
    a commit
    x older`,
  'an older transaction under way holds newer snapshots back': `
    c begin rc
    c append old k1 c
    x xid
    a begin *
    a get old k1
    x older
    c commit
    x older
    a commit
    x older`,
  'one of its own': `
    x begin *
    x get old k1
    x xid
    x older
    x commit`,
  'a failed transaction holds nothing': `
    a begin *
    a get old k1
    x xid
    a insert old k1 9
    x older
    a rollback`,
})
