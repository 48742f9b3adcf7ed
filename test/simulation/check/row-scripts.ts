import { readScripts } from './script.ts'

/** Snapshots, row locks, and what the levels do about rows that have changed. */
export const ROW_SCRIPTS = readScripts({
  'a statement or a transaction sees one snapshot': `
    a begin *
    a get old k1
    b update old k1 9
    a get old k1
    a commit
    a get old k1`,
  'the snapshot is taken by the first statement, not by begin': `
    a begin *
    b update old k1 9
    a get old k1
    b update old k1 8
    a get old k1`,
  'rows inserted and deleted meanwhile': `
    a begin *
    a scan old
    b insert old k3 3
    b delete old k2
    a scan old
    a commit
    a scan old`,
  'a transaction sees its own work, others do not': `
    a begin *
    a update old k1 9
    a insert old k3 3
    a delete old k2
    a scan old
    b scan old
    a delete old k3
    a insert old k2 7
    a scan old
    a rollback
    a scan old`,
  'update of a row whose update commits': `
    a begin rc
    a append old k1 a
    b begin *
    b append old k1 b
    a commit
    b get old k1
    b commit
    b get old k1`,
  'update of a row whose update is rolled back': `
    a begin rc
    a append old k1 a
    b begin *
    b append old k1 b
    a rollback
    b get old k1
    b commit`,
  'update of a row whose delete commits': `
    a begin rc
    a delete old k1
    b begin *
    b update old k1 9
    a commit
    b commit
    b scan old`,
  'delete of a row whose update commits': `
    a begin rc
    a update old k1 9
    b begin *
    b delete old k1
    a commit
    b commit
    b scan old`,
  'delete of a row whose delete commits': `
    a begin rc
    a delete old k1
    b begin *
    b delete old k1
    a commit
    b commit`,
  'delete of a row whose delete is rolled back': `
    a begin rc
    a delete old k1
    b begin *
    b delete old k1
    a rollback
    b commit
    b scan old`,
  'update of a row changed since the snapshot': `
    a begin *
    a get old k2
    b update old k1 9
    a append old k1 a
    a commit
    a get old k1`,
  'delete of a row changed since the snapshot': `
    a begin *
    a get old k2
    b update old k1 9
    a delete old k1
    a commit
    a scan old`,
  'lock of a row changed since the snapshot': `
    a begin *
    a get old k2
    b update old k1 9
    a lock old k1
    a commit`,
  'delete of a row deleted since the snapshot': `
    a begin *
    a get old k1
    b delete old k1
    a delete old k1
    a commit`,
  'a row lock is waited for, and its holder changed nothing': `
    a begin rc
    a lock old k1
    b begin *
    b append old k1 b
    a commit
    b commit
    b get old k1`,
  'a row lock is waited for by a row lock': `
    a begin *
    a lock old k1
    b begin *
    b lock old k1
    a append old k1 a
    a commit
    b rollback`,
  'reads and other rows do not wait for a row lock': `
    a begin rc
    a lock old k1
    b begin *
    b get old k1
    b append old k2 b
    b commit
    a rollback`,
  'the newest version is asked again whether it is wanted': `
    a begin rc
    a update old k1 9
    b begin *
    b update-if old k1 1 8
    a commit
    b commit
    b get old k1`,
  'a version not wanted is not waited for': `
    a begin rc
    a update old k1 9
    b begin *
    b update-if old k1 9 8
    a commit
    b commit`,
  'the newest version is still wanted': `
    a begin rc
    a update old k1 9
    a update old k1 1
    b begin *
    b update-if old k1 1 8
    a commit
    b commit
    b get old k1`,
  'delete asks the newest version again': `
    a begin rc
    a update old k1 9
    b begin *
    b delete-if old k1 1
    a commit
    b commit
    b scan old`,
  'a row deleted and written anew is another row': `
    a begin rc
    a delete old k1
    a insert old k1 9
    b begin *
    b append old k1 b
    a commit
    b commit
    b get old k1`,
  'a lock of a row that was deleted and written anew': `
    a begin rc
    a delete old k1
    a insert old k1 9
    b begin *
    b lock old k1
    a commit
    b commit`,
  'two updates in one transaction are one step for who waits': `
    a begin rc
    a append old k1 a
    a append old k1 b
    b append old k1 c
    a commit
    b get old k1`,
  'a delete does not see a row inserted after its snapshot': `
    a begin *
    a get old k1
    b insert new k3 3
    a delete new k3
    a commit
    a scan new`,
  'a delete does not wait for an insert under way': `
    a begin rc
    a insert new k3 3
    b begin *
    b delete new k3
    a commit
    b delete new k3
    b commit`,
  'opposite order of two rows': `
    a begin *
    b begin *
    a append old k1 a
    b append old k2 b
    a append old k2 a
    b! append old k1 b
    b rollback
    a commit
    a scan old`,
  'a circle of three': `
    a begin rc
    b begin rc
    c begin rc
    a append old k1 a
    b append old k2 b
    c append new k1 c
    a append old k2 a
    b append new k1 b
    c! append old k1 c
    c rollback
    b commit
    a commit
    a scan old`,
})

/** Who of several that are woken at once comes first is not said: PostgreSQL may take either way. */
export const RACE_SCRIPTS = readScripts({
  'several wait for one row': `
    a begin rc
    a append old k1 a
    b begin *
    b append old k1 b
    c begin *
    c append old k1 c
    a commit`,
  'several wait for one row, autocommit': `
    a begin rc
    a append old k1 a
    b append old k1 b
    c append old k1 c
    a commit
    a get old k1`,
  'three upserts of a key whose first is rolled back': `
    a begin rc
    a upsert new k3 a
    b upsert new k3 b
    c upsert new k3 c
    a rollback
    a get new k3`,
})
