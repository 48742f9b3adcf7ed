import { recordChange } from '../changes/record-change.ts'
import type { Clock, NewId } from '../db/clock.ts'
import type { Db, Queryable } from '../db/db.ts'
import type { Delivery, Reading, Receiver, SourceSettings, Verdict } from '../receivers/receiver.ts'
import type { Receivers, SourceKind } from '../receivers/receivers.ts'
import { failed, isEqual, passed, sharedToken } from '../receivers/signatures.ts'
import type { SecretBox } from '../secrets/secret-box.ts'
import { hashToken } from '../tokens/tokens.ts'
import type { AlertSource, FoundSource, StoredSecret } from './source-store.ts'
import {
  addSecret,
  findSource,
  findSourceById,
  insertSource,
  listSources,
  removeSecret,
  revokeSource,
  touchSource,
} from './source-store.ts'

export interface NewSource {
  readonly name: string
  readonly kind: SourceKind
  readonly settings: SourceSettings
  readonly migrations?: readonly string[]
  /** Where the alerting system makes it; else one is made. */
  readonly secret?: string
}

interface Refused {
  readonly ok: false
  readonly why: 'unknown-source' | 'unknown-secret' | 'name-taken' | 'bad-secret' | 'no-secrets'
  readonly message: string
}

export type SourceChange =
  /** `secret` is what was made, and shown this once. */
  { readonly ok: true; readonly source: AlertSource; readonly secret?: string } | Refused

/** The alerting systems that may deliver, with how each proves itself. */
export interface Sources {
  create(source: NewSource, actor: string): Promise<SourceChange>
  list(): Promise<readonly AlertSource[]>
  /** Adds a second secret beside the newest one, so that sender and server can change one after the other. */
  addSecret(name: string, secret: string | undefined, actor: string): Promise<SourceChange>
  /** Ends one secret at once. */
  removeSecret(name: string, secret: string, actor: string): Promise<SourceChange>
  revoke(name: string, actor: string): Promise<SourceChange>
  find(name: string): Promise<FoundSource | undefined>
  findById(id: string): Promise<FoundSource | undefined>
  /** Whether the source proves itself by a token, which can be looked at before the body is read. */
  isBearer(source: AlertSource): boolean
  /** Whether the bearer token of a delivery is one of the source's. */
  verifyToken(found: FoundSource, delivery: Pick<Delivery, 'headers'>): Verdict
  /** Whether the signature of a delivery is right. */
  verifySignature(found: FoundSource, delivery: Delivery): Promise<Verdict>
  /**
   * What a delivery says. Where the source is for one migration and an alert names none, it is about that one.
   *
   * @throws Unreadable
   */
  read(source: AlertSource, delivery: Delivery): Reading
  used(source: AlertSource): Promise<void>
}

export interface SourcesDeps {
  readonly db: Db
  readonly clock: Clock
  readonly newId: NewId
  readonly randomBytes: (size: number) => Buffer
  readonly box: SecretBox
  readonly receivers: Receivers
}

const MIN_SECRET = 16

const refuse = (why: Refused['why'], message: string): Refused => ({ ok: false, why, message })

export function createSources(deps: SourcesDeps): Sources {
  const { db, clock, newId, randomBytes, box, receivers } = deps
  const about = (source: string): string => `alert-source ${source}`

  /** The secret to keep, given or made; undefined where this kind waits for the one of its system. */
  function secretFor(receiver: Receiver, given: string | undefined): string | undefined {
    if (given !== undefined || receiver.proof === 'certificate') return given
    if (receiver.proof === 'bearer') return `sbh_${randomBytes(32).toString('base64url')}`
    return receiver.makeSecret?.(randomBytes)
  }

  function problemOf(receiver: Receiver, secret: string): string | undefined {
    if (receiver.proof === 'certificate') return 'CloudWatch signs with its own key: leave the secret out'
    if (secret.length < MIN_SECRET) return `expected at least ${MIN_SECRET} characters`
    return receiver.secretProblem?.(secret)
  }

  async function keep(
    tx: Queryable,
    source: AlertSource | NewSource,
    id: string,
    text: string,
    actor: string,
  ) {
    const isHashed = receivers[source.kind].proof === 'bearer'
    const secret: StoredSecret = {
      id: newId('sec'),
      kind: isHashed ? 'hash' : 'sealed',
      value: isHashed ? hashToken(text) : box.seal(text, about(id)),
      createdAt: clock(),
      createdBy: actor,
    }
    await addSecret(tx, id, secret)
    return secret
  }

  /** Runs a change of one source under its audit event. */
  async function change(
    name: string,
    actor: string,
    kind: string,
    work: (
      tx: Queryable,
      source: AlertSource,
    ) => Promise<Refused | { readonly detail: Readonly<Record<string, unknown>>; readonly secret?: string }>,
  ): Promise<SourceChange> {
    return await db.tx(async (tx) => {
      await tx.query('select from head for update')
      const found = await findSource(tx, name)
      if (found === undefined) return refuse('unknown-source', `There is no alert source "${name}".`)
      const done = await work(tx, found.source)
      if ('why' in done) return done
      const { secret, detail } = done
      await recordChange(tx, { at: clock(), actor, kind, subject: name, detail })
      const after = (await findSourceById(tx, found.source.id)) ?? found
      return { ok: true, source: after.source, ...(secret === undefined ? {} : { secret }) }
    })
  }

  return {
    list: () => listSources(db),
    find: (name) => findSource(db, name),
    findById: (id) => findSourceById(db, id),
    isBearer: ({ kind }) => receivers[kind].proof === 'bearer',
    create: async (given, actor) => {
      const receiver = receivers[given.kind]
      const problem = given.secret === undefined ? undefined : problemOf(receiver, given.secret)
      if (problem !== undefined) return refuse('bad-secret', problem)
      return await db.tx(async (tx) => {
        await tx.query('select from head for update')
        const { name, kind, settings, migrations } = given
        const id = newId('src')
        const createdAt = clock()
        const bound = migrations === undefined ? {} : { migrations }
        const source = { id, name, kind, settings, createdAt, createdBy: actor, ...bound }
        if (!(await insertSource(tx, source))) {
          return refuse('name-taken', `There is an alert source "${name}" already.`)
        }
        const secret = secretFor(receiver, given.secret)
        if (secret !== undefined) await keep(tx, given, id, secret, actor)
        const detail = { kind, migrations: migrations ?? null, settings }
        await recordChange(tx, { at: createdAt, actor, kind: 'alert-source.created', subject: name, detail })
        const after = await findSourceById(tx, id)
        return {
          ok: true,
          source: after?.source ?? { ...source, secrets: [] },
          // What was given is known to who gave it.
          ...(secret === undefined || given.secret !== undefined ? {} : { secret }),
        }
      })
    },
    addSecret: (name, given, actor) =>
      change(name, actor, 'alert-source.secret-added', async (tx, source) => {
        const receiver = receivers[source.kind]
        const secret = secretFor(receiver, given)
        if (receiver.proof === 'certificate') {
          return refuse('no-secrets', 'CloudWatch signs with its own key: there is no secret.')
        }
        if (secret === undefined) {
          return refuse('bad-secret', `${source.kind} makes the secret itself: give the one that it shows`)
        }
        const problem = problemOf(receiver, secret)
        if (problem !== undefined) return refuse('bad-secret', problem)
        const kept = await keep(tx, source, source.id, secret, actor)
        return { detail: { id: kept.id }, ...(given === undefined ? { secret } : {}) }
      }),
    removeSecret: (name, secret, actor) =>
      change(name, actor, 'alert-source.secret-removed', async (tx, source) =>
        (await removeSecret(tx, source.id, secret))
          ? { detail: { id: secret } }
          : refuse('unknown-secret', `${name} has no secret "${secret}".`),
      ),
    revoke: (name, actor) =>
      change(name, actor, 'alert-source.revoked', async (tx, source) => {
        await revokeSource(tx, source.id, clock())
        return { detail: {} }
      }),
    verifyToken: ({ secrets }, { headers }) => {
      const token = sharedToken(headers)
      if (token === undefined) return failed('the request carries no token')
      const hash = hashToken(token)
      let right = false
      for (const secret of secrets) if (isEqual(secret.value, hash)) right = true
      return right ? passed : failed('the token is not right')
    },
    verifySignature: async ({ source, secrets }, delivery) => {
      const texts = secrets.flatMap(({ kind, value }) =>
        kind === 'sealed' ? [box.open(value, about(source.id))] : [],
      )
      const receiver = receivers[source.kind]
      if (texts.length === 0 && receiver.proof === 'signature') return failed('the source has no secret yet')
      return (await receiver.verify?.(delivery, texts, source.settings)) ?? failed('nothing can be proven')
    },
    read: ({ id, kind, migrations }, delivery) => {
      const reading = receivers[kind].read(delivery)
      const only = migrations?.length === 1 ? migrations[0] : undefined
      const signals = reading.signals.map((signal) => ({
        ...signal,
        // Two systems of one kind may give the same identity to different alerts.
        dedupKey: `${id}:${signal.dedupKey}`,
        ...(signal.migration === undefined && only !== undefined ? { migration: only } : {}),
      }))
      return { ...reading, signals }
    },
    used: (source) => touchSource(db, source.id, clock()),
  }
}
