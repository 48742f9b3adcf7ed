import { readScripts } from './script.ts'

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
