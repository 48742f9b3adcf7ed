/** One step: a session does something. */
export interface Step {
  readonly session: string
  readonly verb: string
  readonly args: readonly string[]
  readonly text: string
  /** The wait that it begins ends by itself: by a timeout, or because it completes a deadlock. */
  readonly endsByItself: boolean
}

export interface Script {
  readonly name: string
  readonly steps: readonly Step[]
}

const LEVELS = ['rc', 'rr', 'ser'] as const
type Level = (typeof LEVELS)[number]

/** Rows that every script starts with. */
export const ROWS = { old: { k1: '1', k2: '2' }, new: { k1: '1' } } as const

/**
 * Reads a script: one step a line, `<session> <verb> <arguments>`, with `!` after the session where the wait
 * ends by itself. A `*` stands for an isolation level: such a script is run at each of them.
 */
function readScript(name: string, lines: string, level?: Level): Script {
  const steps = lines
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line): Step => {
      const [who = '', verb = '', ...args] = line.replaceAll('*', level ?? '*').split(/\s+/)
      const endsByItself = who.endsWith('!')
      return { session: endsByItself ? who.slice(0, -1) : who, verb, args, text: line, endsByItself }
    })
  return { name: level === undefined ? name : `${name} (${level})`, steps }
}

/** The scripts of one table, spread over the isolation levels where they name none. */
export const readScripts = (all: Readonly<Record<string, string>>): readonly Script[] =>
  Object.entries(all).flatMap(([name, lines]) =>
    lines.includes('*') ? LEVELS.map((level) => readScript(name, lines, level)) : [readScript(name, lines)],
  )

/** What happened: for each step its own outcome, and those of earlier steps that it let go on. */
export type Outcome = readonly string[]

/** Puts the outcomes of one step into words; both runners use it, so that they can be compared. */
export function tell(step: Step, settled: ReadonlyMap<string, string>, waiting: ReadonlySet<string>): string {
  const own = settled.get(step.session) ?? (waiting.has(step.session) ? 'waits' : '?')
  const others = [...settled]
    .filter(([session]) => session !== step.session)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([session, outcome]) => `${session} goes on: ${outcome}`)
  return [`${step.text} → ${own}`, ...others].join('; ')
}
