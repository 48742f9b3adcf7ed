import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { definitionSchema } from '@switchback/migrations-registry'
import { type ObjectStore, objectStore, testDatabase } from '@switchback/test/support'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createExecution } from '../execution/execution.ts'
import type { WorkOrder } from '../execution/execution-port.ts'
import { type ArchiveStore, folderStore } from './archive-store.ts'
import { parseS3, s3Store } from './s3-store.ts'

let folder: string
let remote: ObjectStore
const signal = new AbortController().signal
const before = { ...process.env }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchback-store-'))
  remote = await objectStore()
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test-key', AWS_SECRET_ACCESS_KEY: 'test-secret' })
})
afterAll(async () => {
  process.env = before
  await remote.stop()
  await rm(folder, { recursive: true, force: true })
})

const stores: Readonly<Record<string, () => ArchiveStore>> = {
  folder: () => folderStore(folder),
  S3: () => s3Store({ bucket: 'archives', prefix: 'of/prod', endpoint: remote.endpoint }),
}
const contentOf = async (store: ArchiveStore, name: string): Promise<Buffer | undefined> => {
  const stream = await store.read(name, signal)
  return stream === undefined ? undefined : buffer(stream)
}

test.each(Object.keys(stores))('%s: what is written is read, listed and removed', async (kind) => {
  const store = stores[kind]?.() as ArchiveStore
  // More than one part of an upload.
  const large = randomBytes(11_000_000)
  await store.write(
    'm/epoch-1/a b.csv.gz',
    Readable.from([large.subarray(0, 7e6), large.subarray(7e6)]),
    signal,
  )
  for (const name of ['m/epoch-1/manifest.json', 'm/epoch-2/manifest.json', 'other/x'])
    await store.write(name, Readable.from([name]), signal)
  await store.write('m/epoch-2/manifest.json', Readable.from(['again']), signal)
  expect((await contentOf(store, 'm/epoch-1/a b.csv.gz'))?.equals(large)).toBe(true)
  expect((await contentOf(store, 'm/epoch-2/manifest.json'))?.toString()).toBe('again')
  expect(await contentOf(store, 'm/epoch-3/manifest.json')).toBeUndefined()
  expect(await store.list('m')).toEqual([
    'm/epoch-1/a b.csv.gz',
    'm/epoch-1/manifest.json',
    'm/epoch-2/manifest.json',
  ])
  expect(await store.list('nothing')).toEqual([])
  await store.remove('m/epoch-1/manifest.json')
  await store.remove('m/epoch-1/never there')
  expect(await store.list('m/epoch-1')).toEqual(['m/epoch-1/a b.csv.gz'])
})

test.each(Object.keys(stores))('%s: a source that fails leaves what was there', async (kind) => {
  const store = stores[kind]?.() as ArchiveStore
  await store.write('half/x', Readable.from(['whole']), signal)
  const failing = Readable.from(
    (async function* () {
      yield randomBytes(6_000_000)
      throw new Error('the database went away')
    })(),
  )
  await expect(store.write('half/x', failing, signal)).rejects.toThrow('went away')
  expect((await contentOf(store, 'half/x'))?.toString()).toBe('whole')
})

test('a bucket is named by a URL', () => {
  expect(parseS3('s3://archives/of/prod/?region=eu-central-1&endpoint=http://minio:9000')).toEqual({
    bucket: 'archives',
    prefix: 'of/prod',
    region: 'eu-central-1',
    endpoint: 'http://minio:9000',
  })
  expect(parseS3('s3://archives')).toEqual({ bucket: 'archives', prefix: '' })
  for (const wrong of ['/var/archives', 'https://x/y', 's3://', 's3://a?endpoint=minio'])
    expect(parseS3(wrong)).toBeUndefined()
})

test.each(Object.keys(stores))(
  '%s: contract, restore, and pruning once it was kept long enough',
  async (kind) => {
    const database = await testDatabase()
    let now = Date.now()
    const archives = stores[kind]?.() as ArchiveStore
    const execution = createExecution({
      url: database.url,
      log: { warn: () => undefined },
      archiveDir: '/nonexistent',
      archives,
      clock: () => now,
    })
    const definition = definitionSchema.parse({
      id: `pruned-${kind.toLowerCase()}`,
      title: 'x',
      contract: { archive: { keep: '90d' } },
    })
    const order = (epoch: number): WorkOrder => ({
      definition,
      sql: { expand: '', contract: 'alter table users drop column bio' },
      epoch,
      signal,
      report: () => undefined,
      heldBackBy: () => undefined,
      committing: async () => undefined,
    })
    try {
      await database.pool.query(`create table users (id int primary key, bio text);
      insert into users select i, 'bio ' || i from generate_series(1, 1000) i`)
      const rows = async () => (await database.pool.query('select * from users order by id')).rows
      const before = await rows()
      await execution.run('contract', order(3))
      const restored = await execution.run('restore', order(4))
      expect(restored.detail).toMatchObject({
        rows: 1000,
        archive: archives.place(`${definition.id}/epoch-3`),
      })
      expect(await rows()).toEqual(before)
      now += 89 * 86_400_000
      expect(await execution.pruneArchives(definition)).toEqual([])
      now += 2 * 86_400_000
      expect(await execution.pruneArchives(definition)).toEqual([archives.place(`${definition.id}/epoch-3`)])
      expect(await archives.list(definition.id)).toEqual([])
    } finally {
      await execution.end()
      await database.drop()
    }
  },
)
