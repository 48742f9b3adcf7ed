import { z } from 'zod'

export type JsonSchema = Readonly<Record<string, unknown>>

/** JSON Schemas of zod schemas, with those that have a name kept once under `#/components/schemas`. */
export interface JsonSchemas {
  /** What a sender may write (`input`), or a receiver will get (`output`). */
  of(schema: z.ZodType, io: 'input' | 'output'): JsonSchema
  readonly components: Readonly<Record<string, JsonSchema>>
}

/** zod numbers schemas that refer to themselves; here the only one of them is any JSON value. */
const nameOf = (id: string): string => (id.startsWith('__schema') ? 'Json' : id)

export function createJsonSchemas(): JsonSchemas {
  const components: Record<string, JsonSchema> = {}
  return {
    components,
    of: (schema, io) => {
      // At the root a schema would be written out even where it has a name.
      const isNamed = z.globalRegistry.get(schema)?.id !== undefined
      const made = z.toJSONSchema(isNamed ? z.lazy(() => schema) : schema, {
        io,
        target: 'draft-2020-12',
        unrepresentable: 'any',
      })
      const { $schema: _, $defs, ...rest } = made
      for (const [id, definition] of Object.entries($defs ?? {})) {
        const name = nameOf(id)
        const component = relocate(definition) as JsonSchema
        const known = components[name]
        if (known !== undefined && JSON.stringify(known) !== JSON.stringify(component)) {
          throw new Error(`two schemas are called "${name}"; give one of them another id`)
        }
        components[name] = component
      }
      return relocate(rest) as JsonSchema
    },
  }
}

/** Points references to where OpenAPI keeps them, and leaves out the ids of schemas: names are keys there. */
function relocate(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(relocate)
  if (typeof value !== 'object' || value === null) return value
  const isSchema = 'type' in value || 'anyOf' in value || 'oneOf' in value || '$ref' in value
  const entries = Object.entries(value).flatMap(([key, entry]): [string, unknown][] => {
    if (key === 'id' && isSchema && typeof entry === 'string') return []
    if (key !== '$ref' || typeof entry !== 'string') return [[key, relocate(entry)]]
    return [[key, `#/components/schemas/${nameOf(entry.replace('#/$defs/', ''))}`]]
  })
  return Object.fromEntries(entries)
}
