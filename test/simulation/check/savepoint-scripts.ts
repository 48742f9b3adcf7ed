import { readScripts } from './script.ts'

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
