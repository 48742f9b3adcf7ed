import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import pg from 'pg'
import type { KeyRecord } from './ledger.ts'

export interface InstanceLedger {
  readonly instance: string
  readonly records: readonly KeyRecord[]
}

export interface Comparison {
  readonly rows: number
  readonly writesLost: number
  readonly divergences: number
  /** Archived rows that differ because a write was acknowledged after old had been retired. */
  readonly writtenSince: number
  readonly examples: readonly string[]
}

interface Stored {
  readonly bio: string | null
  readonly preferences: Readonly<Record<string, unknown>>
  readonly createdAt: number
}

/** All rows of the new table, by user. */
async function readNew(url: string): Promise<Map<string, Stored>> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const rows = new Map<string, Stored>()
    for (let after = '00000000-0000-0000-0000-000000000000'; ; ) {
      const page = await client.query<{
        user_id: string
        bio: string | null
        preferences: Stored['preferences']
        created_at: Date
      }>(
        'select user_id, bio, preferences, created_at from user_profiles where user_id > $1 order by user_id limit 20000',
        [after],
      )
      for (const row of page.rows) {
        rows.set(row.user_id, {
          bio: row.bio,
          preferences: row.preferences,
          createdAt: row.created_at.getTime(),
        })
        after = row.user_id
      }
      if (page.rows.length === 0) return rows
    }
  } finally {
    await client.end()
  }
}

/** Compares what was acknowledged with what is stored, and the archive of old with new, row by row. */
export async function compareAll(
  url: string,
  archive: string,
  ledgers: readonly InstanceLedger[],
  retiredAt: number,
): Promise<Comparison> {
  const stored = await readNew(url)
  const examples: string[] = []
  const example = (text: string) => {
    if (examples.length < 5) examples.push(text)
  }
  let writesLost = 0
  const writtenAt = new Map<string, number>()
  const gone = new Set<string>()
  for (const { instance, records } of ledgers) {
    for (const record of records) {
      writtenAt.set(record.key, Math.max(writtenAt.get(record.key) ?? 0, record.at))
      if (record.removed) {
        gone.add(record.key)
        if (stored.has(record.key)) {
          writesLost++
          example(`${record.key}: its removal was acknowledged, and it is there`)
        }
        continue
      }
      if (record.acknowledged === 0) continue
      const value = Number(stored.get(record.key)?.preferences[instance] ?? 0)
      if (value < record.acknowledged) {
        writesLost++
        example(
          `${record.key}: ${instance} was told that ${record.acknowledged} is written, stored is ${value}`,
        )
      }
    }
  }
  let divergences = 0
  let writtenSince = 0
  const archived = new Set<string>()
  for await (const old of readArchive(archive)) {
    archived.add(old.key)
    const fresh = stored.get(old.key)
    if (fresh !== undefined && same(old, fresh)) continue
    if ((writtenAt.get(old.key) ?? 0) >= retiredAt) {
      writtenSince++
      continue
    }
    divergences++
    example(`${old.key}: archived ${JSON.stringify(old)}, new ${JSON.stringify(fresh ?? null)}`)
  }
  for (const key of stored.keys()) {
    if (archived.has(key) || (writtenAt.get(key) ?? 0) >= retiredAt) continue
    divergences++
    example(`${key}: in new, and not in the archive of old`)
  }
  return { rows: stored.size, writesLost, divergences, writtenSince, examples }
}

const sorted = (value: Readonly<Record<string, unknown>>) =>
  JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))

const same = (a: Stored, b: Stored): boolean =>
  a.bio === b.bio && a.createdAt === b.createdAt && sorted(a.preferences) === sorted(b.preferences)

/** Rows of the archived columns; CSV as PostgreSQL writes it, with a header. */
async function* readArchive(file: string): AsyncGenerator<Stored & { key: string }> {
  const source = createReadStream(file)
  const lines = createInterface({ input: source.pipe(createGunzip()), crlfDelay: Number.POSITIVE_INFINITY })
  await once(source, 'open')
  let header: readonly string[] | undefined
  for await (const line of lines) {
    const fields = parseCsv(line)
    if (header === undefined) {
      header = fields.map(String)
      continue
    }
    const row = Object.fromEntries(header.map((name, i) => [name, fields[i] ?? null]))
    yield {
      key: String(row.id),
      bio: row.bio ?? null,
      preferences: JSON.parse(row.preferences ?? '{}'),
      createdAt: new Date(String(row.created_at)).getTime(),
    }
  }
}

/** One line of CSV; unquoted emptiness is null, as PostgreSQL writes it. The demo's texts hold no line breaks. */
function parseCsv(line: string): (string | null)[] {
  const fields: (string | null)[] = []
  const pattern = /("(?:[^"]|"")*"|[^,]*)(?:,|$)/gy
  for (let match = pattern.exec(line); match !== null && fields.length < 100; match = pattern.exec(line)) {
    const field = match[1] ?? ''
    fields.push(
      field === '' ? null : field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field,
    )
    if (pattern.lastIndex >= line.length && !match[0].endsWith(',')) break
  }
  return fields
}
