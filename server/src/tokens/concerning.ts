import { inScope, type Scoped } from './tokens.ts'

/** Said of lists that are narrowed so. */
export const OWN_ALONE =
  'A token for certain migrations is shown what is for one of those, or for all, and the names of no others.'

/** Of things that are for certain migrations, or for all: those that concern the reader, each without the rest. */
export function concerning<Thing extends Scoped>(reader: Scoped, things: readonly Thing[]): readonly Thing[] {
  if (reader.migrations === undefined) return things
  return things.flatMap((thing) => {
    if (thing.migrations === undefined) return [thing]
    const migrations = thing.migrations.filter((id) => inScope(reader, id))
    return migrations.length === 0 ? [] : [{ ...thing, migrations }]
  })
}
