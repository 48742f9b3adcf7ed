import type { Path } from '@switchback/migrations-registry'
import type { MeasuredOperation } from '../telemetry/cell.ts'

/** A handler with its types forgotten; `createMigration` gives them back. */
export type Handler = (key: unknown, tx: unknown, ...args: readonly unknown[]) => unknown

export type HandlerTable = Readonly<
  Partial<Record<MeasuredOperation, Readonly<Partial<Record<Path, Handler>>>>>
>

const OPERATIONS: readonly MeasuredOperation[] = ['read', 'write', 'remove']
const PATHS: readonly Path[] = ['old', 'new']

/** Paths that every operation of the migration has a handler for: what registration tells the server. */
export function pathsOf(handlers: HandlerTable): readonly Path[] {
  const declared = OPERATIONS.flatMap((operation) => handlers[operation] ?? [])
  return declared.length === 0
    ? []
    : PATHS.filter((path) => declared.every((table) => table[path] !== undefined))
}
