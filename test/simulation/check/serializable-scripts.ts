import { readScripts } from './script.ts'

/** SERIALIZABLE: reads that others overwrite. */
export const SERIALIZABLE_SCRIPTS = readScripts({
  'write skew over two rows': `
    a begin *
    b begin *
    a get old k1
    a get old k2
    b get old k1
    b get old k2
    a append old k1 a
    b append old k2 b
    a commit
    b commit
    b scan old`,
  'write skew, first commit before the second write': `
    a begin *
    b begin *
    a get old k2
    b get old k1
    a append old k1 a
    a commit
    b append old k2 b
    b commit
    b scan old`,
  'write skew over keys that are not there': `
    a begin *
    b begin *
    a get old k8
    b get old k9
    a insert old k9 a
    b insert old k8 b
    a commit
    b commit
    b scan old`,
  'write skew over a range': `
    a begin *
    b begin *
    a scan old
    b scan old
    a insert old k8 a
    b insert old k9 b
    b commit
    a commit
    b scan old`,
  'write skew over two tables': `
    a begin *
    b begin *
    a get new k1
    b get old k1
    a append old k1 a
    b append new k1 b
    a commit
    b commit`,
  'write skew over deletes': `
    a begin *
    b begin *
    a get new k1
    b get old k1
    a delete old k1
    b delete new k1
    a commit
    b commit
    b compare`,
  'one dependency alone is harmless': `
    a begin *
    b begin *
    a get old k1
    b append old k1 b
    b commit
    a append old k2 a
    a commit`,
  'disjoint keys are harmless': `
    a begin *
    b begin *
    a get old k1
    b get old k2
    a append old k1 a
    b append old k2 b
    a commit
    b commit`,
  'a pivot between two that have committed': `
    a begin *
    a get old k1
    b begin *
    b get old k2
    b append old k1 b
    b commit
    a append old k2 a
    a commit`,
  'a reader sees neither, and the order has no place for it': `
    b begin *
    b get old k1
    b get old k2
    a begin *
    a append old k1 a
    a commit
    c begin *
    c get old k1
    c get old k2
    c commit
    b append old k2 b
    b commit`,
  'a reader that came before is harmless': `
    c begin *
    c get old k1
    b begin *
    b get old k1
    b get old k2
    a begin *
    a append old k1 a
    a commit
    b append old k2 b
    b commit
    c get old k2
    c commit`,
  'a doomed transaction fails at its next step': `
    a begin *
    b begin *
    a get old k1
    b get old k2
    a append old k2 a
    b append old k1 b
    a commit
    b get new k1
    b commit`,
  'who was rolled back counts for nothing': `
    a begin *
    b begin *
    a get old k1
    b get old k2
    a append old k2 a
    b append old k1 b
    a rollback
    b get new k1
    b commit`,
  'read committed takes no part': `
    a begin rc
    b begin *
    a get old k1
    b get old k2
    a append old k2 a
    b append old k1 b
    a commit
    b commit`,
  'a dual delete beside the copy': `
    a begin *
    a get new k2
    b begin *
    b copy
    b commit
    a delete old k2
    a delete new k2
    a commit
    a compare`,
})
