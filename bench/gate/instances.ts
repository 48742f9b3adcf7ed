/** Many application instances in one process, each the real SDK on a connection of its own. */
import { connect, type Switchback } from '@switchback/sdk'
import { SILENT } from '../support.ts'
import type { FromInstances, InstancesSettings, ToInstances } from './messages.ts'

const settings = JSON.parse(process.env.BENCH_INSTANCES ?? '') as InstancesSettings
const { url, token, migration, first, count, atOnce } = settings

const now = (): number => performance.timeOrigin + performance.now()
const say = (message: FromInstances): void => void process.send?.(message)

/** Instances that have applied an epoch: nothing is in flight here, so each has sent ack and drain by then. */
const reached = new Map<number, number>()
/** When each instance was registered again, since the last time that all were. */
let back: number[] = []
let connected = 0
let complete = false
/** Writes are made to fail on new; the first of them is told of. */
let fails = false
let isTold = true
const writers: (() => Promise<unknown>)[] = []
let traffic: NodeJS.Timeout | undefined

async function writeNew(): Promise<number> {
  if (!fails) return 0
  if (!isTold) say({ type: 'failed', at: now() })
  isTold = true
  throw new Error('made to fail')
}

/** Every instance writes so often, spread over the second. */
function setTraffic(perSecond: number): void {
  clearInterval(traffic)
  if (perSecond === 0) return
  const TICK_MS = 10
  const each = (writers.length * perSecond * TICK_MS) / 1000
  let due = 0
  let turn = 0
  traffic = setInterval(() => {
    for (due += each; due >= 1; due--) writers[turn++ % writers.length]?.().catch(() => undefined)
  }, TICK_MS)
}

async function join(index: number): Promise<Switchback> {
  const client = await connect({
    url,
    token,
    app: 'bench',
    version: '1',
    instance: `bench-${String(index).padStart(6, '0')}`,
    startTimeout: 120_000,
    log: SILENT,
  })
  const router = client.migration(migration, {
    key: (key: string) => key,
    read: { old: async () => 0, new: async () => 0 },
    write: { old: async () => 0, new: writeNew },
  })
  writers.push(() => router.write('key'))
  await client.ready()
  let epoch = client.status().positions[migration]?.applied ?? 0
  let here = true
  connected++
  client.subscribe({
    changed: () => {
      const applied = client.status().positions[migration]?.applied ?? 0
      if (applied === epoch) return
      epoch = applied
      const instances = (reached.get(epoch) ?? 0) + 1
      reached.set(epoch, instances)
      if (instances === 1) say({ type: 'first', epoch, at: now() })
      if (instances === count) say({ type: 'epoch', epoch, at: now() })
    },
    connection: (isUp) => {
      if (isUp === here) return
      here = isUp
      connected += isUp ? 1 : -1
      if (isUp) back.push(now())
      if (!complete || connected < count) return
      say({ type: 'back', times: back })
      back = []
    },
  })
  return client
}

const clients: Switchback[] = []
let next = first
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    while (next < first + count) clients.push(await join(next++))
  }),
)
complete = true
say({ type: 'joined' })
process.on('disconnect', () => process.exit(0))
process.on('message', (message: ToInstances) => {
  // The process as a whole goes away: its instances say nothing, as where a node is lost.
  if (message.type === 'end') process.exit(0)
  fails = message.fails
  isTold = !fails
  setTraffic(message.perSecond)
})
// The SDK keeps no process alive; this one is here for nothing else.
setInterval(() => undefined, 60_000)
