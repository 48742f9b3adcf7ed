// Writes the types of the API's answers and requests from its OpenAPI document: types.mjs FROM TO
import { readFileSync, writeFileSync } from 'node:fs'

const [from, to] = process.argv.slice(2)
if (from === undefined || to === undefined) {
  console.error('usage: api-types.mjs <openapi.json> <types.d.ts>')
  process.exit(2)
}

const nameOf = (ref) => ref.split('/').at(-1)
const literal = (value) => JSON.stringify(value)
const union = (parts) => [...new Set(parts)].join(' | ')

/** The type that a JSON Schema of our own routes stands for. */
function typeOf(schema) {
  if (schema.$ref !== undefined) return `Schemas[${literal(nameOf(schema.$ref))}]`
  if (schema.const !== undefined) return literal(schema.const)
  if (schema.enum !== undefined) return union(schema.enum.map(literal))
  const choice = schema.anyOf ?? schema.oneOf
  if (choice !== undefined) return `(${union(choice.map(typeOf))})`
  if (schema.allOf !== undefined) return schema.allOf.map(typeOf).join(' & ')
  if (Array.isArray(schema.type)) return union(schema.type.map((type) => typeOf({ ...schema, type })))
  switch (schema.type) {
    case 'string':
      return 'string'
    case 'number':
    case 'integer':
      return 'number'
    case 'boolean':
      return 'boolean'
    case 'null':
      return 'null'
    case 'array':
      return `readonly (${typeOf(schema.items ?? {})})[]`
    case 'object':
      return objectOf(schema)
    default:
      return 'unknown'
  }
}

function objectOf({ properties = {}, required = [], additionalProperties, propertyNames }) {
  const fields = Object.entries(properties).map(([name, property]) => {
    const optional = required.includes(name) ? '' : '?'
    return `readonly ${literal(name)}${optional}: ${typeOf(property)}`
  })
  if (fields.length > 0) return `{ ${fields.join('; ')} }`
  if (additionalProperties === false) return 'Readonly<Record<string, never>>'
  const key = propertyNames?.enum === undefined ? 'string' : union(propertyNames.enum.map(literal))
  const value = typeof additionalProperties === 'object' ? typeOf(additionalProperties) : 'unknown'
  return `Readonly<Record<${key}, ${value}>>`
}

const json = (content) => content?.['application/json']?.schema

function operationOf(path, method, operation) {
  const query = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query')
  const body = json(operation.requestBody?.content)
  const ok = Object.entries(operation.responses).find(([status]) => status.startsWith('2'))?.[1]
  const answer = json(ok?.content)
  const fields = [
    `query: { ${query.map(({ name }) => `readonly ${literal(name)}?: string | number | undefined`).join('; ')} }`,
    `body: ${body === undefined ? 'undefined' : typeOf(body)}`,
    `answer: ${answer === undefined ? 'undefined' : typeOf(answer)}`,
  ]
  return `  ${literal(`${method.toUpperCase()} ${path}`)}: { ${fields.join('; ')} }`
}

const document = JSON.parse(readFileSync(from, 'utf8'))
const schemas = Object.entries(document.components.schemas).map(
  ([name, schema]) => `  ${literal(name)}: ${typeOf(schema)}`,
)
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => operationOf(path, method, operation)),
)
writeFileSync(
  to,
  [
    '// Made from docs/openapi.json by scripts/api-types.mjs.',
    'export interface Schemas {',
    ...schemas,
    '}',
    'export interface Operations {',
    ...operations,
    '}',
    '',
  ].join('\n'),
)
