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

/** Unique keys: insert, insert or update, insert or nothing. */
export const INSERT_SCRIPTS = readScripts({
  'insert waits for an insert of the same key that commits': `
    a begin rc
    a insert new k3 a
    b begin *
    b insert new k3 b
    a commit
    b get new k3
    b commit`,
  'insert waits for an insert of the same key that is rolled back': `
    a begin rc
    a insert new k3 a
    b begin *
    b insert new k3 b
    a rollback
    b commit
    b get new k3`,
  'insert of a key that is there': `
    a begin *
    a insert old k1 9
    a get old k1
    a commit`,
  'insert of a key whose delete commits': `
    a begin rc
    a delete old k1
    b begin *
    b insert old k1 9
    a commit
    b commit
    b get old k1`,
  'insert of a key whose delete is rolled back': `
    a begin rc
    a delete old k1
    b begin *
    b insert old k1 9
    a rollback
    b commit`,
  'insert of a key that is merely locked': `
    a begin rc
    a lock old k1
    b begin *
    b insert old k1 9
    b rollback
    a commit`,
  'insert of a key that is being updated': `
    a begin rc
    a update old k1 8
    b begin *
    b insert old k1 9
    a commit
    b commit`,
  'insert of a key that the snapshot does not see': `
    a begin *
    a get old k1
    b insert old k3 3
    a insert old k3 9
    a commit`,
  'insert of a key deleted since the snapshot': `
    a begin *
    a get old k2
    b delete old k1
    a insert old k1 9
    a scan old
    a commit
    a scan old`,
  'update of a key that was deleted since the snapshot and written anew': `
    a begin *
    a get old k2
    b delete old k1
    a insert old k1 9
    a append old k1 a
    a commit
    a scan old`,
  'update of only the new one of both': `
    a begin *
    a get old k2
    b delete old k1
    a insert old k1 9
    a update-if old k1 9 8
    a scan old
    a commit
    a scan old`,
  'insert after own delete': `
    a begin *
    a delete old k1
    a insert old k1 9
    a get old k1
    a insert old k1 8
    a commit`,
  'upsert waits for an insert that commits': `
    a begin rc
    a insert new k3 a
    b begin *
    b upsert new k3 b
    a commit
    b commit
    b get new k3`,
  'upsert waits for an insert that is rolled back': `
    a begin rc
    a insert new k3 a
    b begin *
    b upsert new k3 b
    a rollback
    b commit
    b get new k3`,
  'upsert of a row that the snapshot does not see': `
    a begin *
    a get old k1
    b insert new k3 b
    a upsert new k3 a
    a commit
    a get new k3`,
  'upsert of a row changed since the snapshot': `
    a begin *
    a get old k1
    b update new k1 b
    a upsert new k1 a
    a commit
    a get new k1`,
  'upsert of a row deleted since the snapshot': `
    a begin *
    a get old k1
    b delete new k1
    a upsert new k1 a
    a commit
    a get new k1`,
  'upsert of a row whose delete commits': `
    a begin rc
    a delete new k1
    b begin *
    b upsert new k1 b
    a commit
    b commit
    b get new k1`,
  'upsert of a row whose delete is rolled back': `
    a begin rc
    a delete new k1
    b begin *
    b upsert new k1 b
    a rollback
    b commit
    b get new k1`,
  'upsert of a row whose update commits': `
    a begin rc
    a update new k1 a
    b begin *
    b upsert new k1 b
    a commit
    b commit
    b get new k1`,
  'upsert of a row whose update is rolled back': `
    a begin rc
    a update new k1 a
    b begin *
    b upsert new k1 b
    a rollback
    b commit
    b get new k1`,
  'upsert of a locked row': `
    a begin rc
    a lock new k1
    b begin *
    b upsert new k1 b
    a commit
    b commit
    b get new k1`,
  'upsert of what differs compares with the newest row': `
    a begin *
    a get old k1
    b update new k1 9
    a upsert-different new k1 9
    a commit`,
  'upsert of what does not differ locks the row even so': `
    a begin *
    a upsert-different new k1 1
    b append new k1 b
    a commit
    b get new k1`,
  'two upserts of a key that is not there': `
    a begin *
    b begin *
    a upsert new k3 a
    b upsert new k3 b
    a commit
    b commit
    b get new k3`,
  'upsert of one row twice': `
    a begin *
    a upsert new k3 a
    a upsert new k3 b
    a upsert-different new k3 b
    a commit
    a get new k3`,
  'insert or nothing where the row is not seen': `
    a begin *
    a get old k1
    b insert new k3 b
    a absent new k3 a
    a commit
    a get new k3`,
  'insert or nothing waits for an insert': `
    a begin rc
    a insert new k3 a
    b begin *
    b absent new k3 b
    a commit
    b commit
    b get new k3`,
  'insert or nothing waits for a delete': `
    a begin rc
    a delete new k1
    b begin *
    b absent new k1 b
    a commit
    b commit
    b get new k1`,
})

/** Savepoints and failed statements. */
export const SAVEPOINT_SCRIPTS = readScripts({
  'rolling back to a savepoint undoes what came after it': `
    a begin *
    a update old k1 8
    a savepoint s
    a update old k1 9
    a insert old k3 3
    a delete old k2
    a scan old
    a rollback-to s
    a scan old
    a commit
    b scan old`,
  'rolling back to a savepoint lets others have the rows': `
    a begin rc
    a savepoint s
    a append old k1 a
    b begin *
    b append old k1 b
    a rollback-to s
    a append old k2 a
    a commit
    b commit
    b scan old`,
  'a row locked before the savepoint stays locked': `
    a begin rc
    a lock old k1
    a savepoint s
    a append old k1 a
    b begin *
    b append old k1 b
    a rollback-to s
    a append old k1 c
    a commit
    b commit
    b get old k1`,
  'a row updated before and after the savepoint': `
    a begin rc
    a append old k1 a
    a savepoint s
    a append old k1 b
    a rollback-to s
    a append old k1 c
    a commit
    a get old k1`,
  'a row inserted after the savepoint can be inserted by others after rolling back': `
    a begin rc
    a savepoint s
    a insert new k3 a
    b begin *
    b insert new k3 b
    a rollback-to s
    b commit
    a commit
    a get new k3`,
  'a failed statement inside a savepoint': `
    a begin *
    a savepoint s
    a update old k2 9
    a insert old k1 9
    a get old k1
    a rollback-to s
    a get old k2
    a commit
    a get old k2`,
  'a failed statement inside a savepoint lets go at once of what came after it': `
    a begin rc
    a append old k2 a
    a savepoint s
    a append old k1 a
    b append old k1 b
    c append old k2 c
    a insert old k1 9
    a rollback-to s
    a commit
    a scan old`,
  'a failed statement lets go at once of everything': `
    a begin rc
    a append old k1 a
    b append old k1 b
    a insert old k2 9
    a get old k1
    a commit
    b get old k1`,
  'a failed statement leaves nothing but the way out': `
    a begin *
    a insert old k1 9
    a scan old
    a savepoint s
    a rollback-to s
    a commit
    a scan old`,
  'what was released is undone with what encloses it': `
    a begin *
    a savepoint s
    a savepoint t
    a append old k1 a
    a release t
    a get old k1
    a rollback-to s
    a get old k1
    a commit`,
  'what was released stays': `
    a begin *
    a savepoint s
    a append old k1 a
    a release s
    a rollback-to s
    a commit
    a get old k1`,
  'what was released is committed': `
    a begin *
    a savepoint s
    a append old k1 a
    a release s
    a commit
    b get old k1`,
  'a failed statement after a release takes all': `
    a begin rc
    a savepoint s
    a append old k1 a
    a release s
    a insert old k2 9
    a commit
    a get old k1`,
  'a savepoint of the same name hides the one before': `
    a begin *
    a savepoint s
    a append old k1 a
    a savepoint s
    a append old k1 b
    a rollback-to s
    a get old k1
    a rollback-to s
    a get old k1
    a release s
    a rollback-to s
    a get old k1
    a commit`,
  'a serialization failure inside a savepoint': `
    a begin *
    a get old k2
    b update old k1 9
    a savepoint s
    a append old k1 a
    a rollback-to s
    a get old k1
    a commit`,
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
