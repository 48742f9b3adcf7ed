import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ledger } from './ledger.ts'
import type { AppSettings } from './messages.ts'
import type { Profile, ProfileChange } from './profiles.ts'
import { seededRandom, userId } from './random.ts'

/** The operations of rides-api, already routed. */
export interface Profiles {
  read(id: string): Promise<Profile | null>
  write(id: string, change: ProfileChange): Promise<void>
  remove(id: string): Promise<void>
}

const HOT_KEYS = 40

/** Traffic of one instance: loops that read and write without end, checking each read against the ledger. */
export function createTraffic(settings: AppSettings, profiles: Profiles, ledger: Ledger) {
  const { instance } = settings
  // Another seed per instance, so that the three do not walk in step.
  const random = seededRandom(
    settings.seed ^ [...instance].reduce((hash, c) => Math.imul(hash, 31) + c.charCodeAt(0), 7),
  )
  const busy = new Set<string>()
  const own: string[] = []
  let counter = 0
  let running = true
  let paused = false
  let inFlight = 0

  /** Seeded users, a few of them hot: shared with the other instances. */
  const anyKey = () =>
    userId(
      settings.seed,
      Math.floor(random() * (random() < 0.3 ? Math.min(HOT_KEYS, settings.rows) : settings.rows)),
    )

  function change(kind: 'create' | 'update', key: string): ProfileChange {
    counter++
    ledger.begin(key, counter)
    return {
      kind,
      bio: `written by ${instance} as ${counter}`,
      preferences: { [instance]: counter },
      createdAt: new Date().toISOString(),
    }
  }

  async function read(key: string, exists: boolean): Promise<void> {
    const least = ledger.acknowledged(key)
    const profile = await profiles.read(key)
    ledger.reads++
    if (!exists) {
      if (profile !== null) ledger.stale(`${key} was read after its removal was acknowledged`)
      return
    }
    const seen = Number(profile?.preferences[instance] ?? 0)
    if (profile === null || seen < least) {
      ledger.stale(`${key} was read at ${profile === null ? 'nothing' : seen}, acknowledged was ${least}`)
    }
  }

  async function update(key: string): Promise<void> {
    const next = change('update', key)
    const written = counter
    await profiles.write(key, next)
    ledger.acknowledge(key, written, 'update')
  }

  async function create(): Promise<void> {
    const key = randomUUID()
    busy.add(key)
    try {
      const next = change('create', key)
      const written = counter
      await profiles.write(key, next)
      ledger.acknowledge(key, written, 'create')
      own.push(key)
    } finally {
      busy.delete(key)
    }
  }

  async function remove(): Promise<void> {
    const key = own.splice(Math.floor(random() * own.length), 1)[0]
    if (key === undefined) return
    ledger.begin(key, ++counter)
    const written = counter
    await profiles.remove(key)
    ledger.acknowledge(key, written, 'remove')
    await read(key, false)
  }

  async function one(): Promise<void> {
    const dice = random()
    if (dice < 0.03) return create()
    if (dice < 0.05) return remove()
    const key =
      dice < 0.15 && own.length > 0 ? (own[Math.floor(random() * own.length)] ?? anyKey()) : anyKey()
    // One operation per key at a time within an instance, so that its newest acknowledgement is well defined.
    if (busy.has(key)) return
    busy.add(key)
    try {
      await (dice < 0.55 ? read(key, true) : update(key))
    } finally {
      busy.delete(key)
    }
  }

  async function loop(): Promise<void> {
    while (running) {
      if (!paused) {
        inFlight++
        await one().catch((error: unknown) => ledger.fail(error, instance))
        inFlight--
      }
      await sleep(paused ? 20 : settings.pauseMs)
    }
  }

  const loops = Array.from({ length: settings.concurrency }, loop)
  return {
    pause: async () => {
      paused = true
      while (inFlight > 0) await sleep(5)
    },
    resume: () => {
      paused = false
    },
    stop: async () => {
      running = false
      await Promise.all(loops)
    },
  }
}
