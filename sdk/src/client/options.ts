import { hostname } from 'node:os'
import type { Snapshot } from '@switchback/migrations-registry'
import { snapshotSchema } from '@switchback/migrations-registry'
import { type Clock, systemClock } from '../clock.ts'
import { SwitchbackError } from '../error.ts'
import { type Log, processLog } from '../log.ts'

const TRANSPORTS = ['auto', 'websocket', 'polling'] as const
export type Transport = (typeof TRANSPORTS)[number]

export interface ConnectOptions {
  /** Of the server, such as `https://switchback.example`. */
  readonly url: string
  /** With the role `sdk`. */
  readonly token: string
  /** Name of the application; all its instances have the same. */
  readonly app: string
  /** Version of the application; pipelines ask by it whether a deployment fits. */
  readonly version: string
  /** Id of this process, unique among all that run. Default: app, host name, process id, and a random part. */
  readonly instance?: string
  /**
   * What happens when the lease is over because the server cannot be reached. `hold` (default): the instance
   * goes on with its last state, and the gate waits for it. `stop`: operations reject with LeaseExpiredError,
   * and the gate need not wait.
   */
  readonly onLeaseExpired?: 'hold' | 'stop'
  /**
   * How to reach the server. `auto` (default): by websocket, and by polling for as long as something on the way
   * lets no websocket through. Polling knows of a change as fast where answers may be held for 20 s, and within
   * about 5 s where they may not.
   */
  readonly transport?: Transport
  /** A state to start with where the server cannot be reached and `stateFile` holds none. */
  readonly bootstrap?: Snapshot
  /** Where the last good state is kept on disk. Each instance needs a file of its own. */
  readonly stateFile?: string
  /** How long `connect` waits for the server, and operations of a new migration for its registration. Default 3000 ms. */
  readonly startTimeout?: number
  /** How long `close` waits for operations in flight. Default 10000 ms. */
  readonly closeTimeout?: number
  readonly log?: Log
  /** 0 to 1, 1 excluded. Default `Math.random`. */
  readonly random?: () => number
  readonly clock?: Clock
}

export type Settings = Required<Omit<ConnectOptions, 'bootstrap' | 'stateFile'>> & {
  readonly bootstrap: Snapshot | undefined
  readonly stateFile: string | undefined
}

/** @throws SwitchbackError `bad-options` that names everything that is wrong */
export function parseOptions(options: ConnectOptions): Settings {
  const problems: string[] = []
  const text = (name: 'app' | 'version' | 'instance', value: unknown): void => {
    if (typeof value !== 'string' || value.length === 0 || value.length > 200) {
      problems.push(`${name}: expected a text of 1 to 200 characters`)
    }
  }
  const time = (name: string, value: unknown): void => {
    if (value !== undefined && !(typeof value === 'number' && Number.isFinite(value) && value >= 0)) {
      problems.push(`${name}: expected milliseconds, 0 or more`)
    }
  }
  if (!isHttp(options.url)) problems.push('url: expected an http or https address')
  if (typeof options.token !== 'string' || options.token === '')
    problems.push('token: expected a token of the role sdk')
  text('app', options.app)
  text('version', options.version)
  if (options.instance !== undefined) text('instance', options.instance)
  time('startTimeout', options.startTimeout)
  time('closeTimeout', options.closeTimeout)
  const { onLeaseExpired = 'hold', transport = 'auto' } = options
  if (onLeaseExpired !== 'hold' && onLeaseExpired !== 'stop')
    problems.push("onLeaseExpired: expected 'hold' or 'stop'")
  if (!TRANSPORTS.includes(transport)) problems.push(`transport: expected ${TRANSPORTS.join(', ')}`)
  const bootstrap = options.bootstrap === undefined ? undefined : snapshotSchema.safeParse(options.bootstrap)
  if (bootstrap?.success === false) problems.push(`bootstrap: ${bootstrap.error.message}`)
  if (problems.length > 0) {
    throw new SwitchbackError('bad-options', `connect: ${problems.join('; ')}`, { retryable: false })
  }
  const random = options.random ?? Math.random
  return {
    url: options.url,
    token: options.token,
    app: options.app,
    version: options.version,
    instance: options.instance ?? instanceId(options.app, random),
    onLeaseExpired,
    transport,
    bootstrap: bootstrap?.data,
    stateFile: options.stateFile,
    startTimeout: options.startTimeout ?? 3_000,
    closeTimeout: options.closeTimeout ?? 10_000,
    log: options.log ?? processLog,
    random,
    clock: options.clock ?? systemClock,
  }
}

const isHttp = (url: unknown): boolean =>
  typeof url === 'string' && URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)

const instanceId = (app: string, random: () => number): string =>
  `${app}-${hostname()}-${process.pid}-${Math.floor(random() * 0x1_0000_0000)
    .toString(16)
    .padStart(8, '0')}`.slice(-200)
