import type { Clock } from '../db/clock.ts'

/** One thing that must work for this server to be of use. Throws with the reason where it does not. */
export type Check = () => Promise<void>

interface CheckResult {
  readonly ok: boolean
  readonly ms: number
  readonly message?: string
}

interface Readiness {
  readonly ready: boolean
  readonly checks: Readonly<Record<string, CheckResult>>
}

export interface Health {
  readiness(): Promise<Readiness>
  /** From now on not ready: load balancers look elsewhere while what is in flight ends. */
  stopping(): void
}

export interface HealthDeps {
  readonly checks: Readonly<Record<string, Check>>
  readonly clock: Clock
  /** A check that takes longer counts as failed. */
  readonly timeoutMs: number
}

export function createHealth({ checks, clock, timeoutMs }: HealthDeps): Health {
  let stopping = false

  async function run(check: Check): Promise<CheckResult> {
    const from = clock()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    })
    try {
      await Promise.race([check(), late])
      return { ok: true, ms: clock() - from }
    } catch (error) {
      const message = error instanceof Error && error.message !== '' ? error.message : 'failed'
      return { ok: false, ms: clock() - from, message }
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    readiness: async () => {
      const results = await Promise.all(
        Object.entries(checks).map(async ([name, check]) => [name, await run(check)] as const),
      )
      const all: Record<string, CheckResult> = Object.fromEntries(results)
      if (stopping) all.running = { ok: false, ms: 0, message: 'this server is stopping' }
      return { ready: Object.values(all).every((result) => result.ok), checks: all }
    },
    stopping: () => {
      stopping = true
    },
  }
}
