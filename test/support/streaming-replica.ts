import { cpSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type BundledPostgres, startBundledPostgres } from '@switchback/server'
import pg from 'pg'

/** Of one run of a server, not of its data. */
const LEFT_OUT = new Set(['postmaster.pid', 'postmaster.opts', 'switchback.holders'])
/** Folders that a copy begins without their content: the log is copied last, when the backup has ended. */
const EMPTY = new Set(['pg_wal', 'pg_replslot', 'pg_stat_tmp'])

const SMALL = { fsync: 'off', shared_buffers: '16MB', max_connections: 20 }

/**
 * A standby that streams from a primary, made by a low-level base backup into `dataDir`.
 * The primary has to be told to keep its log: `wal_keep_size`.
 */
export async function streamingReplica(primary: BundledPostgres, dataDir: string): Promise<BundledPostgres> {
  const session = new pg.Client({ connectionString: primary.url })
  await session.connect()
  try {
    await session.query(`select pg_backup_start('replica', true)`)
    cpSync(primary.dataDir, dataDir, {
      recursive: true,
      filter: (path) =>
        !(LEFT_OUT.has(basename(path)) && dirname(path) === primary.dataDir) &&
        !EMPTY.has(basename(dirname(path))),
    })
    const { rows } = await session.query<{ labelfile: string }>('select labelfile from pg_backup_stop(false)')
    writeFileSync(join(dataDir, 'backup_label'), rows[0]?.labelfile ?? '')
    writeFileSync(join(dataDir, 'standby.signal'), '')
    cpSync(join(primary.dataDir, 'pg_wal'), join(dataDir, 'pg_wal'), { recursive: true })
  } finally {
    await session.end()
  }
  const { hostname, port, username, password } = new URL(primary.url)
  const from = `host=${hostname} port=${port} user=${username} password=${decodeURIComponent(password)} application_name=standby`
  return startBundledPostgres({
    dataDir,
    settings: { ...SMALL, primary_conninfo: from, wal_receiver_status_interval: '1s' },
  })
}
