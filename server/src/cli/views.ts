import type { Gate, MigrationConfig, MigrationState } from '@switchback/migrations-registry'
import type { FleetInstance } from '../fleet/fleet-port.ts'
import type { WorkProgress } from '../phases/phase-service.ts'
import type { Time } from './terminal.ts'

/** The parts of the server's answers that commands look at; `--json` prints the whole. */
export interface MigrationView {
  readonly id: string
  readonly title: string
  /** Without the history of routings, which nobody but the gate looks at. */
  readonly state: Omit<MigrationState, 'history'>
  readonly config: MigrationConfig
  /** How far the fleet is; told of one migration only, like its gate and its works. */
  readonly fleet?: {
    readonly instances: number
    readonly drained: number
    readonly lapsed: readonly string[]
  }
  readonly gate?: Gate
  readonly tripwires?: {
    readonly verdicts: readonly VerdictView[]
    readonly autopilotHeldBy: readonly string[]
  }
  readonly works?: readonly WorkView[]
}

interface VerdictView {
  readonly name: string
  readonly outcome: 'breach' | 'fine' | 'inconclusive'
  readonly explanation: string
}

export interface WorkView {
  readonly kind: string
  readonly epoch: number
  readonly status: string
  readonly progress: WorkProgress
  readonly error?: string
  readonly result?: Readonly<Record<string, unknown>>
}

export type InstanceView = Omit<FleetInstance, 'lastSeen' | 'leaseUntil' | 'registeredAt'> & {
  readonly lastSeen: Time
  readonly leaseUntil: Time
}

export interface InstancesView {
  readonly instances: readonly InstanceView[]
  /** Where the next page begins, if there is one. */
  readonly next?: string
}

export interface FlagView {
  readonly key: string
  readonly enabled: boolean
  readonly description: string
  readonly defaultVariant: string
  readonly requires?: { readonly migration: string; readonly phase: string }
}

export interface AlertView {
  readonly id: string
  readonly receivedAt: Time
  readonly status: string
  readonly migration?: string
  readonly action?: string
  readonly reason?: string
  readonly explanation?: string
  readonly incident?: string
  readonly error?: string
  readonly signal: { readonly source: string; readonly name: string }
}

export interface SourceView {
  readonly name: string
  readonly kind: string
  readonly path: string
  readonly migrations?: readonly string[]
  readonly lastUsedAt?: Time
  readonly revokedAt?: Time
  readonly secrets: readonly { readonly id: string }[]
  /** Told once, when it was made. */
  readonly secret?: string
}

export interface IncidentView {
  readonly id: string
  readonly migration: string
  readonly status: string
  readonly title: string
  readonly openedAt: Time
  readonly alertToCommitMs?: number
  readonly alertToLastAckMs?: number
  readonly timeline?: readonly { readonly at: Time; readonly kind: string; readonly message: string }[]
}

export interface ChannelView {
  readonly name: string
  readonly kind: string
  readonly settings: { readonly url?: string; readonly to?: readonly string[] }
  readonly events?: readonly string[]
  readonly migrations?: readonly string[]
}

export interface NotificationView {
  readonly id: string
  readonly createdAt: Time
  readonly channel: string
  readonly recipient?: string
  readonly notice: { readonly title: string }
  readonly status: string
  readonly attempts: number
  readonly error?: string
}

export interface StatsView {
  readonly migrations: {
    readonly total: number
    readonly completed: number
    readonly underWay: number
    readonly reverted: number
    readonly successRate?: number
  }
  readonly reverts: {
    readonly total: number
    readonly refused: number
    readonly timeToRollback?: { readonly p50: number; readonly p99: number; readonly max: number }
    readonly verified: { readonly verified: number; readonly failed: number }
  }
  readonly downtime: { readonly served: number; readonly failed: number }
  readonly corruptionIncidents: number
  readonly satisfaction: { readonly answers: number; readonly mean?: number }
}

export interface EventView {
  readonly revision: number
  readonly at: Time
  readonly actor: string
  readonly kind: string
  readonly subject?: string | null
  readonly detail?: Readonly<Record<string, unknown>>
}

export interface TokenView {
  readonly id: string
  readonly name: string
  readonly role: string
  readonly createdAt: Time
  readonly expiresAt?: Time | null
  readonly lastUsedAt?: Time | null
  readonly revokedAt?: Time | null
}
