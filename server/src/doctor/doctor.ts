import { parseConfig } from '../config/config.ts'
import { type Check, checksOf } from './check.ts'
import { checkMachine } from './check-machine.ts'
import { checkRedis } from './check-redis.ts'
import { checkStore } from './check-store.ts'
import { checkTarget } from './check-target.ts'

export interface DoctorDeps {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: () => number
  readonly fetch: typeof fetch
}

const is = checksOf('settings')

/**
 * Looks at everything a server needs before it is started, with the settings that the server would read. Yields
 * what was found as soon as it is known. Changes nothing, and tells no secret.
 */
export async function* examine({ env, clock, fetch }: DoctorDeps): AsyncGenerator<readonly Check[]> {
  const parsed = parseConfig(env)
  if (!parsed.ok) {
    yield parsed.problems.map(({ name, message }) =>
      is.fail(name, `${name}: ${message}`, 'See docs/configuration.md.'),
    )
    return
  }
  const { config } = parsed
  const targets = Object.entries(config.targets)
  yield [is.ok('settings', 'all settings can be read'), ...targetsCheck(targets.length, config.databaseUrl)]
  yield checkMachine(config, fetch)
  const store = await checkStore(config, clock)
  yield store.checks
  for (const [name, url] of targets) {
    yield (await checkTarget(name, url, clock, store.skewMs)).checks
  }
  yield checkRedis(config)
}

function targetsCheck(count: number, databaseUrl: string | undefined): readonly Check[] {
  if (count > 0) return []
  const action = 'Set TARGET_<NAME>_URL to the database that migrations are to change.'
  return databaseUrl === undefined
    ? [
        is.warn(
          'targets',
          'no target is configured: a database beside the bundled store stands in for "main"',
          action,
        ),
      ]
    : [is.fail('targets', 'no target is configured: no migration can do its work', action)]
}
