import type { Timing } from '@switchback/migrations-registry'
import { configSchema, postgresUrl } from './config-schema.ts'
import { type SignOnSettings, signOnOf } from './sign-on-settings.ts'
import { parseTiming } from './target-timing.ts'

/** What the server is told from outside; frozen, and never read from the environment again. */
export interface Config {
  readonly databaseUrl?: string
  readonly redisUrl?: string
  readonly host: string
  readonly port: number
  readonly dataDir: string
  readonly adminToken?: string
  readonly migrationsDir?: string
  /** A folder, or `s3://…`. */
  readonly archiveUrl?: string
  readonly secretKey?: string
  readonly publicUrl?: string
  readonly signOn?: SignOnSettings
  readonly alertmanagerUrl?: string
  readonly alertmanagerLookMs: number
  readonly notifyHttpHosts: readonly string[]
  readonly heartbeatMs: number
  readonly leaseMs: number
  readonly pollMs: number
  /** How long records are kept, in days; 0: for good. */
  readonly retention: { readonly alertsDays: number; readonly noticesDays: number }
  /** Whether checks may run programs. */
  readonly checkCommands: boolean
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
  /** Connections of the databases that migrations change, by the name that definitions use. */
  readonly targets: Readonly<Record<string, string>>
  /** When work that holds up traffic may begin, by target. */
  readonly timing: Readonly<Record<string, Timing>>
}

export interface ConfigProblem {
  readonly name: string
  readonly message: string
}

export type ParsedConfig =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] }

const TARGET = /^TARGET_([A-Z][A-Z0-9_]*)_URL$/

/**
 * Parses the environment; all problems are reported at once, and no value is repeated in them, for values
 * may be secrets. A variable that is set to nothing counts as not set.
 */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): ParsedConfig {
  const given = Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => (entry[1] ?? '') !== ''),
  )
  const parsed = configSchema.safeParse(given)
  const problems: ConfigProblem[] = (parsed.error?.issues ?? []).map((issue) => ({
    name: String(issue.path[0]),
    message: issue.message,
  }))
  const targets: Record<string, string> = {}
  for (const [name, value] of Object.entries(given)) {
    const target = TARGET.exec(name)?.[1]
    if (target === undefined) continue
    const result = postgresUrl.safeParse(value)
    if (result.success) targets[target.toLowerCase().replaceAll('_', '-')] = value
    else problems.push({ name, message: result.error.issues[0]?.message ?? 'not a URL' })
  }
  const timing = parseTiming(given)
  problems.push(...timing.problems)
  if (parsed.data !== undefined && parsed.data.LEASE_MS < 2 * parsed.data.HEARTBEAT_MS) {
    problems.push({
      name: 'LEASE_MS',
      message: 'expected at least twice HEARTBEAT_MS, or one late heartbeat ends a lease',
    })
  }
  const signOn = parsed.data === undefined ? undefined : signOnOf(parsed.data, given)
  problems.push(...(signOn?.problems ?? []))
  if (parsed.data === undefined || problems.length > 0) return { ok: false, problems }
  const { data } = parsed
  const config: Config = {
    host: data.HOST,
    port: data.PORT,
    dataDir: data.SWITCHBACK_DATA,
    heartbeatMs: data.HEARTBEAT_MS,
    leaseMs: data.LEASE_MS,
    pollMs: data.POLL_MS,
    retention: { alertsDays: data.ALERTS_KEEP_DAYS, noticesDays: data.NOTICES_KEEP_DAYS },
    checkCommands: data.SWITCHBACK_CHECK_COMMANDS === 'on',
    logLevel: data.LOG_LEVEL,
    alertmanagerLookMs: data.ALERTMANAGER_LOOK_MS,
    notifyHttpHosts: data.NOTIFY_HTTP_HOSTS ?? [],
    targets: Object.freeze(targets),
    timing: Object.freeze(timing.timing),
    ...(data.DATABASE_URL === undefined ? {} : { databaseUrl: data.DATABASE_URL }),
    ...(data.REDIS_URL === undefined ? {} : { redisUrl: data.REDIS_URL }),
    ...(data.SWITCHBACK_ADMIN_TOKEN === undefined ? {} : { adminToken: data.SWITCHBACK_ADMIN_TOKEN }),
    ...(data.SWITCHBACK_SECRET_KEY === undefined ? {} : { secretKey: data.SWITCHBACK_SECRET_KEY }),
    ...(data.ALERTMANAGER_URL === undefined ? {} : { alertmanagerUrl: data.ALERTMANAGER_URL }),
    ...(data.ARCHIVE_URL === undefined ? {} : { archiveUrl: data.ARCHIVE_URL }),
    ...(signOn?.settings === undefined ? {} : { signOn: signOn.settings }),
    ...(data.PUBLIC_URL === undefined ? {} : { publicUrl: data.PUBLIC_URL }),
    ...(data.MIGRATIONS_DIR === undefined ? {} : { migrationsDir: data.MIGRATIONS_DIR }),
  }
  return { ok: true, config: Object.freeze(config) }
}
