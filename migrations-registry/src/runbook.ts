import type { MigrationDefinition } from './definition.ts'
import type { Gate } from './gate.ts'
import type { Phase } from './phases.ts'
import { PHASE_TABLE } from './phases.ts'
import { sentence } from './sentence.ts'
import type { MigrationState, Millis } from './state.ts'

export interface RunbookFacts {
  readonly now: Millis
  /** Undefined where the gate could not be judged. */
  readonly gate: Gate | undefined
}

/** What can be done from a phase when something fails, how long it takes, and until when. */
interface WayBack {
  readonly command: string
  readonly effect: string
  readonly takes: string
  readonly until: string
}

const at = (time: Millis): string => `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`

const INSTANT =
  'One commit and a push: well under a second to every instance that is connected; others follow when they reconnect or poll.'

function wayBack(definition: MigrationDefinition, state: MigrationState): WayBack | undefined {
  const { id, retire, contract } = definition
  const { phase, since } = state
  const revert = `switchback revert ${id} --reason "…"`
  switch (phase) {
    case 'planned':
      return state.work?.kind === 'expand'
        ? {
            command: revert,
            effect: 'Stops `expand.sql` at its next statement, and rolls back what it has done.',
            takes: 'As long as the statement in hand, then `rollback.sql`.',
            until: 'Until `expand.sql` has ended.',
          }
        : undefined
    case 'expanded':
      return {
        command: revert,
        effect:
          'Runs `rollback.sql`; the migration is `planned` again. The application reads and writes old either way.',
        takes: 'As long as `rollback.sql` waits for its locks.',
        until: 'As long as nobody writes new: until `dual-write`.',
      }
    case 'dual-write':
      return {
        command: revert,
        effect: 'Writes go to old alone; new falls behind and is filled anew later.',
        takes: `${INSTANT} Where new has led before, it waits until no key of old is left to repair.`,
        until: 'At any time: reads come from old.',
      }
    case 'backfill':
    case 'shadow':
      return {
        command: revert,
        effect:
          'Copying and comparing stop; both paths stay written, old leads. Reads come from old either way.',
        takes: INSTANT,
        until: 'At any time.',
      }
    case 'ramp':
      return {
        command: revert,
        effect: 'Every read comes from old again; both paths stay written, old leads.',
        takes: INSTANT,
        until: 'At any time: old holds every acknowledged write.',
      }
    case 'promoted':
      return {
        command: revert,
        effect: 'Old leads and is read again; new stays written.',
        takes: INSTANT,
        until: state.complete.old
          ? `Until it is retired: not before ${at(since + retire.after)}.`
          : 'As soon as the reverse backfill is verified: until then old lacks writes, and the revert is refused.',
      }
    case 'retired':
      return {
        command: `${revert} --to promoted`,
        effect:
          'Both paths are written again, the reverse backfill copies to old what it lacks and verifies it; only then can old be read.',
        takes: `As long as a backfill of \`${definition.copy?.from ?? 'old'}\`. Nothing reverts by itself from here: an alert calls a person.`,
        until: `Until contract begins: not before ${at(since + contract.after)}, and not without ${contract.approvals} approvals.`,
      }
    case 'contracted':
      return {
        command: `switchback restore ${id}`,
        effect: 'Brings back from the archive what contract dropped, then stands at `retired`.',
        takes: 'As long as loading the archive.',
        until: `Until the archive is gone: ${at(since + contract.archive.keep)}.`,
      }
  }
}

const NEW_IS_READ: readonly Phase[] = ['ramp', 'promoted', 'retired', 'contracted']

function symptoms(definition: MigrationDefinition, { phase, complete }: MigrationState): readonly string[] {
  const { id } = definition
  const isRead = NEW_IS_READ.includes(phase)
  const first = isRead && phase !== 'contracted' && (phase !== 'promoted' || complete.old)
  const back = phase === 'retired' ? 'the way back below' : 'revert'
  return [
    `| Errors or latency on new | ${first ? `Do not look for the cause first: ${back}.` : isRead ? 'The way back below takes time: mend new meanwhile.' : 'Nobody is served from new: pause, then look.'} |`,
    `| Wrong data in new | ${isRead ? `${back === 'revert' ? 'Revert' : 'Take the way back'}, then see the divergences.` : 'Pause; repairs and verification go on before anybody is served from it.'} |`,
    `| Errors on old and new alike | Not the migration: a revert does not help. \`switchback pause ${id}\`. |`,
    `| The database suffers from copying | \`switchback pause ${id}\`; flags stay as they are. |`,
    `| Instances do not drain | \`switchback instances\`: restart those that hang; \`switchback instances forget ID --reason "…"\` only for such as are gone for good. |`,
  ]
}

function kindOf({ copy, target, writes }: MigrationDefinition): string {
  if (copy === undefined)
    return `A change of the schema of \`${target}\` alone: no path changes, so no flag does.`
  const how = writes === 'trigger' ? ' Triggers carry what is written beside the SDK.' : ''
  return copy.toTarget === undefined
    ? `\`${copy.from}\` to \`${copy.to}\`, both in \`${target}\`: written in one transaction.${how}`
    : `\`${copy.from}\` in \`${target}\` to \`${copy.to}\` in \`${copy.toTarget}\`: two databases, written one after the other; what a failure leaves apart is repaired.${how}`
}

/**
 * The runbook of a migration as it stands, in Markdown: what can be done from here, by which commands, how long it
 * takes, until when it is safe, and whom to call. Pure.
 */
export function runbookOf(
  definition: MigrationDefinition,
  state: MigrationState,
  { now, gate }: RunbookFacts,
): string {
  const { id, title, owner } = definition
  const { phase, epoch, since, latch, work, rollout } = state
  const share = phase === 'ramp' ? ` at ${Number((rollout.share * 100).toFixed(2))}%` : ''
  const back = wayBack(definition, state)
  const lines = [
    `# Runbook: ${title}`,
    '',
    `\`${id}\` stands at **${phase}**${share}, epoch ${epoch}, since ${at(since)}. ${PHASE_TABLE[phase].meaning}`,
    kindOf(definition),
    '',
    `As of ${at(now)}; \`switchback runbook ${id}\` tells what holds now.`,
    '',
    ...(latch === undefined
      ? []
      : [
          `**Latched** since ${at(latch.at)}: ${sentence(latch.reason)} Nothing advances until \`switchback rearm ${id} --reason "…"\`.`,
          '',
        ]),
    ...(state.pending === undefined
      ? []
      : [
          `**A revert to ${state.pending.to} is under way**; it goes on by itself as soon as that is safe.`,
          '',
        ]),
    ...(state.paused ? [`**Paused.** To go on: \`switchback pause ${id} --off\`.`, ''] : []),
    ...(work === undefined || work.status === 'done'
      ? []
      : [
          `**${work.kind}** is ${work.status}${work.error === undefined ? '' : `: ${work.error}. Once mended: \`switchback retry ${id}\``}.`,
          '',
        ]),
    '## If something fails',
    '',
    '| seen | to do |',
    '| --- | --- |',
    ...symptoms(definition, state),
    '',
    '## The way back from here',
    '',
    ...(back === undefined
      ? ['Nothing has been changed; there is nothing to take back.']
      : [
          '```console',
          `$ ${back.command}`,
          '```',
          '',
          `- **Does:** ${back.effect}`,
          `- **Takes:** ${back.takes}`,
          `- **Safe:** ${back.until}`,
          `- **Then:** \`switchback status ${id}\` until every instance has drained; \`switchback rearm ${id} --reason "…"\` once the cause is gone.`,
        ]),
    '',
    '## The way on',
    '',
    ...forward(definition, gate),
    '',
    '## Whom to call',
    '',
    ...(owner === undefined
      ? ['The definition names no owner.']
      : [
          `${owner.team}${owner.contacts.length === 0 ? '; the definition names no contacts.' : ', in this order:'}`,
          '',
          ...owner.contacts.map((contact, index) => `${index + 1}. ${contact}`),
          ...(owner.contacts.length === 0
            ? []
            : [
                '',
                'Who sees to it says so, so that nobody further is called: `switchback incident ack INCIDENT`.',
              ]),
        ]),
  ]
  return `${lines.join('\n').trimEnd()}\n`
}

function forward({ id }: MigrationDefinition, gate: Gate | undefined): readonly string[] {
  if (gate === undefined) return [`The gate could not be judged: \`switchback gate ${id}\`.`]
  const { next, blockers } = gate
  if (next.kind === 'none') return ['This is the last phase.']
  const what =
    next.kind === 'rollout'
      ? next.canaries > 0
        ? `${next.canaries} canary instances`
        : `${Number((next.share * 100).toFixed(2))}% of reads`
      : next.kind === 'work'
        ? `${next.work}, then ${next.to}`
        : next.to
  return [
    `Next: **${what}**, by \`switchback advance ${id} --wait\`.`,
    '',
    ...(blockers.length === 0
      ? ['The gate is open.']
      : ['The gate is closed:', '', ...blockers.map(({ message, action }) => `- ${message} ${action}`)]),
  ]
}
