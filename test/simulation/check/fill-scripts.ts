import { readScripts } from './script.ts'

/** A range that new has nothing of, filled by plain inserts beside writers. */
export const FILL_SCRIPTS = readScripts({
  'the fill copies what old has': `
    a delete new k1
    b begin *
    b fill
    b commit
    b compare`,
  'the fill does nothing where new has a row': `
    b begin *
    b fill
    b commit
    b compare`,
  'a row of new that is not committed yet is no row': `
    a delete new k1
    a begin rc
    a insert new k7 7
    b begin *
    b fill
    a commit
    b commit
    b scan new`,
  'a row of new whose delete is not committed yet is one': `
    a begin rc
    a delete new k1
    b begin *
    b fill
    a commit
    b fill
    b commit`,
  'the fill waits for a writer and takes what it wrote': `
    a delete new k1
    a begin rc
    a update old k1 9
    b begin *
    b fill
    a commit
    b commit
    b compare`,
  'the fill waits for a writer that is rolled back': `
    a delete new k1
    a begin rc
    a update old k1 9
    a upsert new k1 9
    b begin *
    b fill
    a rollback
    b commit
    b compare`,
  'the fill meets a dual write of a row that it waited for': `
    a delete new k1
    a begin rc
    a update old k1 9
    b begin *
    b fill
    a upsert new k1 9
    a commit
    b rollback
    b compare`,
  'the fill meets a dual write of a later row': `
    a delete new k1
    c begin rc
    c lock old k1
    b begin *
    b fill
    a begin rc
    a update old k2 9
    a upsert new k2 9
    a commit
    c commit
    b rollback
    b compare`,
  'what the fill has inserted before it failed is gone': `
    a delete new k1
    c begin rc
    c lock old k2
    b fill
    a upsert new k2 9
    c commit
    b scan new
    b copy
    b compare`,
  'the fill waits for a row of new that is not committed yet': `
    a delete new k1
    a begin rc
    a insert new k1 7
    b begin *
    b fill
    a commit
    b rollback
    b compare`,
  'the fill waits for a row of new that is rolled back': `
    a delete new k1
    a begin rc
    a insert new k1 7
    b begin *
    b fill
    a rollback
    b commit
    b compare`,
  'the fill waits for a dual delete and leaves the row out': `
    a delete new k1
    a begin rc
    a delete old k1
    a delete new k1
    b begin *
    b fill
    a commit
    b commit
    b compare`,
  'the fill does not see a row inserted after its snapshot': `
    a delete new k1
    a begin rc
    a lock old k1
    b begin *
    b fill
    c insert old k3 3
    c insert new k3 3
    a commit
    b commit
    b compare`,
  'a writer waits for the fill': `
    c delete new k1
    b begin *
    b fill
    a begin *
    a update old k1 9
    b commit
    a upsert new k1 9
    a commit
    a compare`,
  'a dual delete waits for the fill and misses its row': `
    c delete new k1
    b begin rc
    b fill
    a begin *
    a get old k2
    a delete old k1
    b commit
    a delete new k1
    a commit
    a compare`,
  'without the row lock a plain update misses what was filled': `
    c delete new k1
    a begin rc
    a update old k1 9
    b begin rc
    b fill-without-lock
    a update new k1 9
    a commit
    b commit
    b compare`,
  'without the row lock an upsert waits for what was filled': `
    c delete new k1
    a begin *
    a update old k1 9
    b begin rc
    b fill-without-lock
    a upsert new k1 9
    b commit
    a commit
    b compare`,
  'two fills of the same rows': `
    c delete new k1
    a begin *
    b begin *
    a fill
    b fill
    a commit
    b rollback
    b compare`,
  'a fill and a writer in the opposite order deadlock': `
    c delete new k1
    a begin rc
    b begin rc
    b insert new k1 b
    a fill
    b! append old k1 b
    b rollback
    a commit
    a compare`,
})
