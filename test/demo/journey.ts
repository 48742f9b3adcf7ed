import { setTimeout as sleep } from 'node:timers/promises'
import pc from 'picocolors'
import type { Api, MigrationView } from './api.ts'
import { ApiError } from './api.ts'
import type { Screen } from './screen.ts'

export const ID = 'user-profiles'
const STEP_TIMEOUT_MS = 90_000

export interface PhaseTime {
  readonly phase: string
  readonly ms: number
}

/** Drives the migration through the API, and keeps the time that each phase took. */
export class Journey {
  readonly phases: PhaseTime[] = []
  readonly #api: Api
  readonly #screen: Screen
  #current = 'planned'
  #since = Date.now()

  constructor(api: Api, screen: Screen) {
    this.#api = api
    this.#screen = screen
  }

  /** Advances as soon as the gate lets it, and waits until the migration stands at `phase`. */
  async advanceTo(
    phase: string,
    step?: number,
    during?: (view: MigrationView) => Promise<void>,
  ): Promise<MigrationView> {
    const deadline = Date.now() + STEP_TIMEOUT_MS
    let said = ''
    let asked = false
    for (;;) {
      const view = await this.#api.patiently(ID)
      const { state } = view
      if (state.phase === phase && (step === undefined || state.rollout.step === step)) {
        this.#arrived(view)
        return view
      }
      if (state.work?.status === 'failed') throw new Error(`${state.work.kind} failed: ${state.work.error}`)
      if (Date.now() > deadline) {
        throw new Error(
          `${phase} was not reached: ${view.gate.blockers.map((blocker) => blocker.message).join(' ')}`,
        )
      }
      await during?.(view)
      this.#showWork(view)
      const blocker = view.gate.blockers.find(({ code }) => code !== 'work-running')
      if (blocker !== undefined && blocker.code !== said) {
        said = blocker.code
        this.#screen.line(pc.dim(`gate: ${blocker.message}`))
      }
      if (view.gate.open && !asked) {
        // A gate that was open when it was looked at may have closed since: that is a blocker, not a fault.
        await this.#api.call('POST', `/v1/migrations/${ID}/advance`, {}).then(
          () => {
            asked = state.work === undefined && (state.phase === 'planned' || state.phase === 'retired')
          },
          (error: unknown) => {
            if (!(error instanceof ApiError && error.status === 409)) throw error
          },
        )
        continue
      }
      await sleep(50)
    }
  }

  /** Waits until the work of the present phase is done, drawing its progress. */
  async workDone(kind: string, during?: (view: MigrationView) => Promise<void>): Promise<MigrationView> {
    const deadline = Date.now() + STEP_TIMEOUT_MS
    for (;;) {
      const view = await this.#api.patiently(ID)
      const { work } = view.state
      if (work?.kind === kind && work.status === 'done') {
        const result =
          view.works.find((entry) => entry.kind === kind && entry.status === 'done')?.result ?? {}
        const facts = Object.entries(result).filter(([, value]) => typeof value === 'number')
        this.#screen.line(`${kind}: ${facts.map(([name, value]) => `${name} ${value}`).join(', ')}`)
        return view
      }
      if (work?.status === 'failed') throw new Error(`${kind} failed: ${work.error}`)
      if (Date.now() > deadline) {
        const { stage = 'not begun', throttledBy = 'nothing' } = view.works[0]?.progress ?? {}
        throw new Error(`${kind} did not end in time: ${stage}, held back by ${throttledBy}`)
      }
      await during?.(view)
      this.#showWork(view)
      await sleep(50)
    }
  }

  #showWork(view: MigrationView): void {
    const work = view.works.find((entry) => entry.status === 'running')
    const { done, total } = work?.progress ?? {}
    if (work !== undefined && done !== undefined && total !== undefined)
      this.#screen.bar(work.progress.stage, done, total)
  }

  /** Notes where the migration stands now; also called after a revert. */
  arrived(view: MigrationView): void {
    this.#arrived(view)
  }

  #arrived({ state }: MigrationView): void {
    const { canary, share } = state.rollout
    const rollout = state.phase === 'ramp' ? (canary.length > 0 ? ' canary' : ` ${share * 100}%`) : ''
    const name = `${state.phase}${rollout}`
    this.phases.push({ phase: this.#current, ms: Date.now() - this.#since })
    this.#current = name
    this.#since = Date.now()
    this.#screen.line(`${pc.bold(name)} ${pc.dim(`epoch ${state.epoch}`)}`)
  }

  end(): void {
    this.phases.push({ phase: this.#current, ms: Date.now() - this.#since })
  }
}
