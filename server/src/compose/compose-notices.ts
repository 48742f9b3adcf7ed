import { randomBytes } from 'node:crypto'
import type { Config } from '../config/config.ts'
import type { Clock, NewId } from '../db/clock.ts'
import type { Db } from '../db/db.ts'
import { type Channels, createChannels } from '../notifications/channels.ts'
import { createCollect } from '../notifications/collect.ts'
import { createEscalations } from '../notifications/escalations.ts'
import { linksFor } from '../notifications/links.ts'
import { createNotifier, type Notifier } from '../notifications/notifier.ts'
import { createSend } from '../notifications/send.ts'
import type { PhaseService } from '../phases/phase-service.ts'
import type { SecretBox } from '../secrets/secret-box.ts'

export interface NoticesDeps {
  readonly db: Db
  readonly clock: Clock
  readonly newId: NewId
  readonly box: SecretBox
  readonly phases: Pick<PhaseService, 'get'>
  readonly config: Pick<Config, 'publicUrl' | 'notifyHttpHosts'>
  readonly onFault: (error: unknown, during: string) => void
}

const LOOK_MS = 1_000

/** Who is told of what happens: channels, the outbox, and the calls until somebody acknowledges. */
export function composeNotices(deps: NoticesDeps): {
  readonly channels: Channels
  readonly notifier: Notifier
} {
  const { db, clock, newId, box, phases, config, onFault } = deps
  const httpHosts = config.notifyHttpHosts
  const channels = createChannels({ db, clock, newId, randomBytes, box, send: createSend(clock), httpHosts })
  const escalations = createEscalations({
    db,
    clock,
    newId,
    definitionOf: async (migration) => (await phases.get(migration))?.definition,
  })
  const collect = createCollect({ db, clock, newId, escalations, linksOf: linksFor(config.publicUrl) })
  const random = Math.random
  const notifier = createNotifier({
    db,
    clock,
    collect,
    escalations,
    channels,
    random,
    onFault,
    intervalMs: LOOK_MS,
  })
  return { channels, notifier }
}
