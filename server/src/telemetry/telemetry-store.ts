import type { Measurement } from '@switchback/migrations-registry'
import type { Queryable } from '../db/db.ts'

/** Measurements of one server over a moment; `server` and `seq` are its identity, however it arrives. */
export interface Chunk {
  readonly seq: number
  /** Unix milliseconds. */
  readonly at: number
  readonly measurements: readonly Measurement[]
}

export interface StoredChunks {
  readonly id: number
  readonly server: string
  readonly at: number
  readonly chunks: readonly Chunk[]
}

export async function insertChunks(on: Queryable, server: string, chunks: readonly Chunk[]): Promise<void> {
  await on.query('insert into telemetry (server, chunks) values ($1, $2)', [server, JSON.stringify(chunks)])
}

/**
 * What other servers wrote since. Ids are given out before rows are seen, so a row may turn up below ones that
 * were read: the last moments are asked for again, without those that are known.
 */
export async function readChunks(
  on: Queryable,
  server: string,
  since: number,
  known: readonly number[],
): Promise<readonly StoredChunks[]> {
  const { rows } = await on.query<{ id: number; server: string; at: Date; chunks: readonly Chunk[] }>(
    `select id, server, at, chunks from telemetry
     where at > $1 and server <> $2 and id <> all($3) order by id limit 2000`,
    [new Date(since), server, known],
  )
  return rows.map((row) => ({ ...row, at: row.at.getTime() }))
}

export async function deleteChunks(on: Queryable, before: number): Promise<void> {
  await on.query('delete from telemetry where at < $1', [new Date(before)])
}
