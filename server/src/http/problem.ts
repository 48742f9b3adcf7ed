import type { Blocker, RefusalCode } from '@switchback/migrations-registry'

interface ProblemKind {
  readonly status: number
  readonly title: string
}

const refused = (title: string): ProblemKind => ({ status: 409, title })

/** Every code that an answer can carry, with its status. The only place where codes become statuses. */
const KINDS = {
  'invalid-request': { status: 400, title: 'The request is not valid' },
  'malformed-json': { status: 400, title: 'The body is not valid JSON' },
  unauthenticated: { status: 401, title: 'A token is needed' },
  forbidden: { status: 403, title: 'The token may not do this' },
  'not-found': { status: 404, title: 'There is no such thing' },
  'unknown-migration': { status: 404, title: 'There is no such migration' },
  'unknown-flag': { status: 404, title: 'There is no such flag' },
  'unknown-instance': { status: 404, title: 'There is no such instance' },
  'unknown-incident': { status: 404, title: 'There is no such incident' },
  'unknown-token': { status: 404, title: 'There is no such token' },
  'unknown-session': { status: 404, title: 'There is no such session' },
  'unknown-alert': { status: 404, title: 'There is no such alert' },
  'unknown-source': { status: 404, title: 'There is no such alert source' },
  'unknown-channel': { status: 404, title: 'There is no such channel' },
  'unknown-target': { status: 404, title: 'There is no such target' },
  'unknown-secret': { status: 404, title: 'There is no such secret' },
  'method-not-allowed': { status: 405, title: 'This method is not allowed here' },
  'too-large': { status: 413, title: 'The body is too large' },
  'unsupported-media-type': { status: 415, title: 'The body must be JSON' },
  'invalid-definition': { status: 422, title: 'The definition is not valid' },
  'step-not-here': { status: 422, title: 'The code of the migration is not on this server' },
  'bad-secret': { status: 422, title: 'The secret is not usable' },
  'unreadable-alert': { status: 422, title: 'The alert cannot be read' },
  'too-many-failures': { status: 429, title: 'Too many failed attempts' },
  'internal-error': { status: 500, title: 'The server failed' },
  overloaded: { status: 503, title: 'Too much at once' },
  'secret-key-missing': { status: 503, title: 'This server has another secret key' },
  'dry-run-failed': { status: 503, title: 'The dry run could not be made' },
  'store-unavailable': { status: 503, title: 'The store cannot be reached' },
  'already-acknowledged': refused('Somebody sees to it already'),
  'name-taken': refused('The name is taken'),
  'not-comparable': refused('There are no two paths now'),
  'not-dead': refused('The alert is not dead'),
  'flag-exists': refused('There is such a flag already'),
  'key-reserved': refused('The key is taken by a migration'),
  'alias-taken': refused('The alias is taken by a flag'),
  'gate-closed': refused('The gate is closed'),
  'nothing-left': refused('The last phase is reached'),
  'nothing-to-revert': refused('There is nothing to revert'),
  'old-incomplete': refused('Old does not hold every write'),
  'restore-needed': refused('A restore is needed first'),
  'point-of-no-return': refused('It cannot be called off now'),
  'not-in-ramp': refused('The migration is not in ramp'),
  'share-not-allowed': refused('The share is not allowed now'),
  'not-latched': refused('The migration is not latched'),
  'already-latched': refused('The migration is latched'),
  'stale-work': refused('The work belongs to a passed epoch'),
  'no-work-to-retry': refused('There is no work to retry'),
  'work-under-way': refused('Work is under way'),
  'verification-not-open': refused('Verification is not open'),
  'flags-incompatible': refused('The flags are not allowed now'),
  'no-rollback-sql': refused('There is no rollback.sql'),
  'approval-not-open': refused('Approval is not open'),
  'already-approved': refused('Approved already'),
  'path-not-behind': refused('That does not lie behind'),
  'run-over': refused('That speaks of an earlier run'),
  'revert-not-safe': refused('The revert is not safe yet'),
  'definition-in-use': refused('The definition is in use'),
  'mapping-not-invertible': refused('The mapping cannot be inverted'),
  protocol: refused('The SDK does not fit this server'),
  'missing-handlers': refused('The instance lacks handlers'),
  'out-of-scope': refused('The token is not for that migration'),
  'instance-taken': refused('Another process has the instance id'),
  'impossible-position': refused('The position cannot be'),
  'epoch-known': refused('The store knows of this epoch'),
  'moved-on': refused('The migration has moved on'),
  'target-not-compared': refused('The store has not been compared with the target'),
  'store-was-behind': refused('The store was behind its target'),
} as const satisfies Readonly<Record<RefusalCode, ProblemKind>> & Readonly<Record<string, ProblemKind>>

export type ProblemCode = keyof typeof KINDS

export const PROBLEM_CODES = Object.keys(KINDS) as ProblemCode[]

/** One field or line that is wrong. */
export interface FieldProblem {
  /** Where in the request, such as `body.rollout[1].share`. */
  readonly path: string
  readonly message: string
  readonly file?: string
  readonly line?: number
  readonly column?: number
}

export interface ProblemExtras {
  /** What to do about it. */
  readonly action?: string
  readonly blockers?: readonly Blocker[]
  readonly problems?: readonly FieldProblem[]
  /** Whether the same again may succeed later; told to instances, which decide by it. */
  readonly retryable?: boolean
  readonly headers?: Readonly<Record<string, string>>
}

/** An answer that is not the one hoped for; thrown by handlers, turned into a problem document at the edge. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem'
  readonly code: ProblemCode
  readonly status: number
  readonly title: string
  readonly extras: ProblemExtras

  constructor(code: ProblemCode, detail: string, extras: ProblemExtras = {}, options?: ErrorOptions) {
    super(detail, options)
    this.code = code
    this.status = KINDS[code].status
    this.title = KINDS[code].title
    this.extras = extras
  }
}

export const unknownMigration = (id: string): HttpProblem =>
  new HttpProblem('unknown-migration', `There is no migration "${id}".`, {
    action: 'List them with GET /v1/migrations.',
  })

/** The document of RFC 9457. */
export function problemDocument(problem: HttpProblem, requestId: string) {
  const { code, status, title, message, extras } = problem
  const { action, blockers, problems, retryable } = extras
  return {
    type: `urn:switchback:problem:${code}`,
    title,
    status,
    detail: message,
    code,
    instance: `urn:switchback:request:${requestId}`,
    ...(action === undefined ? {} : { action }),
    ...(blockers === undefined ? {} : { blockers }),
    ...(problems === undefined ? {} : { problems }),
    ...(retryable === undefined ? {} : { retryable }),
  }
}
