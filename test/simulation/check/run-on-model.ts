import { Database } from '../database/database.ts'
import { Session } from '../database/session.ts'
import { Network, QUIET } from '../world/network.ts'
import { World } from '../world/world.ts'
import { type Outcome, ROWS, type Script, tell } from './script.ts'
import { codeOf, type Memory, NEW, OLD, VERBS } from './verbs.ts'

/** Runs a script on the model, each step until nothing moves any more. A seed shuffles what happens at once. */
export async function runOnModel({ steps }: Script, seed?: number): Promise<Outcome> {
  const world = new World({ seed: seed ?? 1, inOrder: seed === undefined })
  const network = new Network(world, QUIET)
  const never = Number.POSITIVE_INFINITY
  const db = new Database(world.process('db'), { work: [0, 0], deadlockTimeout: [never, never] })
  const impatient = new Set(steps.filter((step) => step.endsByItself).map((step) => step.session))
  const sessions = new Map<string, Session>()
  const connect = (name: string): Session =>
    new Session(network, world.process(name), db, impatient.has(name) ? 20 : never)

  const setup = connect('setup')
  for (const [key, value] of Object.entries(ROWS.old)) void setup.insert(OLD, key, value)
  for (const [key, value] of Object.entries(ROWS.new)) void setup.insert(NEW, key, value)
  await world.run()

  const memory: Memory = { xid: '0' }
  const waiting = new Set<string>()
  // Of the present step, and of earlier ones that it lets go on.
  let settled = new Map<string, string>()
  const outcome: string[] = []
  for (const step of steps) {
    let session = sessions.get(step.session)
    if (session === undefined) {
      session = connect(step.session)
      sessions.set(step.session, session)
    }
    if (waiting.has(step.session)) throw new Error(`${step.session} waits: ${step.text}`)
    const verb = VERBS[step.verb]
    if (verb === undefined) throw new Error(`no verb ${step.verb}`)
    const settle = (told: string) => {
      waiting.delete(step.session)
      settled.set(step.session, told)
    }
    waiting.add(step.session)
    settled = new Map()
    verb.model(session, step.args, memory).then(settle, (error: unknown) => settle(codeOf(error)))
    await world.run()
    outcome.push(tell(step, settled, waiting))
  }
  return outcome
}
