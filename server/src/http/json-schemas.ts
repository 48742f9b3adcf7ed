import { z } from 'zod'

export type JsonSchema = Readonly<Record<string, unknown>>

/** JSON Schemas of zod schemas, with the shared ones named once under `#/components/schemas`. */
export interface JsonSchemas {
  /** What a sender may write (`input`), or a receiver will get (`output`). */
  of(schema: z.ZodType, io: 'input' | 'output'): JsonSchema
  readonly components: Readonly<Record<string, JsonSchema>>
}

export function createJsonSchemas(): JsonSchemas {
  const components: Record<string, JsonSchema> = {}

  /** Names a shared schema: by its id where it has one, else by where it was met first. */
  function nameFor(id: string, schema: JsonSchema): string {
    const same = Object.entries(components).find(
      ([, known]) => JSON.stringify(known) === JSON.stringify(schema),
    )
    const wanted = id.startsWith('__schema') ? 'Json' : id
    if (same !== undefined && (same[0] === wanted || wanted === 'Json')) return same[0]
    let name = wanted
    for (let n = 2; components[name] !== undefined; n++) name = `${wanted}${n}`
    return name
  }

  return {
    components,
    of: (schema, io) => {
      // At the root a schema would be written out even where it has a name.
      const isNamed = z.globalRegistry.get(schema)?.id !== undefined
      const made = z.toJSONSchema(isNamed ? z.lazy(() => schema) : schema, {
        io,
        target: 'draft-2020-12',
        unrepresentable: 'any',
        cycles: 'ref',
      }) as Record<string, unknown>
      const { $schema: _, $defs, ...rest } = made
      const names = new Map<string, string>()
      const rename = (value: unknown): unknown => {
        if (Array.isArray(value)) return value.map(rename)
        if (typeof value !== 'object' || value === null) return value
        return Object.fromEntries(
          Object.entries(value).flatMap(([key, entry]) => {
            // Ids name components here; OpenAPI reads them as base addresses of references.
            if (
              key === 'id' &&
              typeof entry === 'string' &&
              'type' in value &&
              typeof value.type === 'string'
            )
              return []
            if (key !== '$ref' || typeof entry !== 'string') return [[key, rename(entry)]]
            const target = names.get(entry.replace('#/$defs/', ''))
            return [[key, target === undefined ? entry : `#/components/schemas/${target}`]]
          }),
        )
      }
      const defs = Object.entries(($defs ?? {}) as Record<string, JsonSchema>)
      for (const [id, definition] of defs) {
        const self = id.startsWith('__schema') ? 'Json' : id
        names.set(id, self)
        names.set(id, nameFor(id, rename(definition) as JsonSchema))
      }
      for (const [id, definition] of defs) components[names.get(id) ?? id] = rename(definition) as JsonSchema
      return rename(rest) as JsonSchema
    },
  }
}
