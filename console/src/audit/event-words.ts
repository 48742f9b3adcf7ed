import type { Answer } from '../api/client.ts'

type AuditEvent = Answer<'GET /v1/events'>['events'][number]

interface Position {
  readonly phase?: string
  readonly epoch?: number
}

interface Detail {
  readonly from?: Position
  readonly to?: Position
  readonly reason?: string
  readonly name?: string
  readonly role?: string
  readonly of?: string
  readonly why?: string
  readonly command?: {
    readonly kind?: string
    readonly reason?: string
    readonly error?: string
    readonly share?: number
    readonly canaries?: number
    readonly epoch?: number
    readonly cause?: { readonly reason?: string }
    readonly force?: readonly string[]
  }
}

const moved = ({ from, to }: Detail): string =>
  from?.phase === undefined || to?.phase === undefined || from.phase === to.phase
    ? (to?.phase ?? '')
    : `${from.phase} → ${to.phase}`

const because = (reason: string | undefined): string => (reason === undefined ? '' : `: ${reason}`)

const WORDS: Readonly<Record<string, (detail: Detail) => string>> = {
  'migration.registered': () => 'Registered',
  'migration.replaced': () => 'Definition replaced',
  'migration.advanced': (detail) =>
    `Advanced ${moved(detail)}${detail.command?.force === undefined ? '' : `, over ${detail.command.force.join(', ')}`}`,
  'migration.rollout-set': ({ command }) =>
    `Rollout set to ${command?.canaries === undefined ? `${Math.round((command?.share ?? 0) * 1e5) / 1e3} %` : `${command.canaries} canaries`}`,
  'migration.flags-set': () => 'Flags set apart from the phase',
  'migration.backfill-set': () => 'Copying switched',
  'migration.paused': () => 'Paused',
  'migration.resumed': () => 'Resumed',
  'migration.approved': () => 'Contract approved',
  'migration.reverted': (detail) => `Reverted ${moved(detail)}${because(detail.command?.cause?.reason)}`,
  'migration.reverted-further': (detail) => `Reverted further ${moved(detail)}`,
  'migration.restore-asked': () => 'Restore asked for',
  'migration.verification-asked': () => 'Verification asked for',
  'migration.rearmed': ({ command }) => `Re-armed${because(command?.reason)}`,
  'work.started': ({ command }) => `${command?.kind ?? 'work'} started`,
  'work.committing': ({ command }) => `${command?.kind ?? 'work'} drops what goes`,
  'work.done': (detail) => `${detail.command?.kind ?? 'work'} done${arrived(detail)}`,
  'work.failed': ({ command }) => `${command?.kind ?? 'work'} failed${because(command?.error)}`,
  'work.retried': () => 'Work started again',
  'fence.passed': ({ command }) => `Fence passed up to epoch ${command?.epoch ?? ''}`,
  'instance.forgotten': ({ reason }) => `Instance forgotten${because(reason)}`,
  'token.created': ({ name, role }) => `Token made for ${name ?? 'somebody'}, ${role ?? ''}`,
  'token.revoked': () => 'Token revoked',
  'session.started': ({ role }) => `Signed in, ${role ?? ''}`,
  'session.ended': ({ of }) => `Session ended of ${of ?? 'somebody'}`,
  'session.refused': ({ why }) => `Not signed in: ${why === 'no-role' ? 'no role' : 'address not let in'}`,
}

const arrived = ({ from, to }: Detail): string =>
  from?.phase === to?.phase || to?.phase === undefined ? '' : `, now ${to.phase}`

/** What happened, in a sentence; kinds that this console has not heard of by their name. */
export function eventWords({ kind, detail }: AuditEvent): string {
  const words = WORDS[kind]
  if (words !== undefined) return words(detail as Detail)
  const plain = kind.replace('.', ' ').replaceAll('-', ' ')
  return plain.charAt(0).toUpperCase() + plain.slice(1)
}

export function toneOf(kind: string): 'bad' | 'ok' | 'info' | 'idle' {
  if (kind.startsWith('migration.reverted') || kind === 'work.failed') return 'bad'
  if (kind === 'migration.advanced' || kind === 'migration.rollout-set') return 'info'
  if (kind === 'work.done' || kind === 'migration.rearmed' || kind === 'migration.approved') return 'ok'
  return 'idle'
}
