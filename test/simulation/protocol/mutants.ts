/** What each mutant takes out. The switches are read by the wiring of the simulation; product code knows none. */
export const MUTANTS = {
  'no-lease-wait': 'the gate does not reckon with instances whose lease is over',
  'ack-without-drain': 'an instance reports an epoch as drained as soon as it has applied it',
  'drain-forgets-open-transactions':
    'what an instance reports as drained leaves out writes in an open transaction',
  'no-fence': 'writes take the lock of their key, and ask no fence',
  'minimum-in-table':
    'the minimum of the fence is kept in a table, which snapshots freeze, instead of a sequence',
  'minimum-raised-after-drain':
    'passing the fence first waits for older transactions, then raises the minimum',
  'fence-enough-before-retired':
    'the gate lets the fence stand for a lapsed instance, though that may still read',
  'no-second-look': 'nobody looks again at what was written while ranges were filled without locks',
  'second-look-without-waiting':
    'the second look does not wait for transactions that may have missed a row of the first',
  'second-look-without-row-lock':
    'where rows of old are to be locked, they are copied as the snapshot saw them',
  'backfill-does-not-overwrite': 'the backfill leaves rows of new that are there already as they are',
  'no-key-lock': 'dual operations take no lock of their key',
  'no-sweep': 'nothing removes rows of new that old does not have',
  'sweep-read-committed': 'the sweep runs at READ COMMITTED',
  'sweep-before-old-snapshots':
    'neither the second look nor the sweep waits for transactions with older snapshots',
  'mismatch-without-recheck':
    'verification repairs what one comparison found, without another look under the lock',
  'revert-waits-for-acks': 'a revert waits until every instance has drained',
  'retired-without-reverse-backfill': 'the way back from retired does not bring old up to new',
  'reverse-backfill-without-fence': 'the reverse backfill does not pass the fence first',
  'ramp-straight-to-expanded': 'a revert from ramp stops the dual write in the same step',
  'epoch-reused-after-restore':
    'nothing compares the epochs of a restored store with those that the target has seen',
  'commands-before-the-first-look':
    'commands are carried out before the store has been compared with its target',
} as const

export type Mutant = keyof typeof MUTANTS

export const isMutant = (name: string): name is Mutant => Object.hasOwn(MUTANTS, name)
