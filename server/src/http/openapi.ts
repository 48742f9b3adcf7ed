import { OpenAPIRegistry, OpenApiGeneratorV31 } from '@asteasolutions/zod-to-openapi'
import { z } from 'zod'
import type { JsonSchema, JsonSchemas } from './json-schemas.ts'
import { createJsonSchemas } from './json-schemas.ts'
import { PROBLEM_CODES } from './problem.ts'
import type { Route } from './route.ts'

const problemSchema = z
  .object({
    type: z.string().describe('A name for this kind of problem'),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('What was wrong, with the names and numbers concerned'),
    code: z.enum(PROBLEM_CODES as [string, ...string[]]),
    instance: z.string().describe('The request; the log knows it by this'),
    action: z.string().optional().describe('What to do about it'),
    blockers: z
      .array(
        z.object({
          code: z.string(),
          subject: z.string(),
          since: z.number().optional(),
          message: z.string(),
          action: z.string(),
          forceable: z.boolean(),
        }),
      )
      .optional()
      .describe('Why the gate is closed'),
    problems: z
      .array(
        z.object({
          path: z.string(),
          message: z.string(),
          file: z.string().optional(),
          line: z.int().optional(),
          column: z.int().optional(),
        }),
      )
      .optional()
      .describe('Every field or line that is wrong'),
    retryable: z.boolean().optional().describe('Told to instances: whether the same again may succeed later'),
  })
  .meta({ id: 'Problem' })

const MEANING: Readonly<Record<number, string>> = {
  400: 'The request is not valid.',
  401: 'No good token.',
  403: 'The token may not do this.',
  404: 'There is no such thing.',
  409: 'Refused as things stand, with what to do about it.',
  413: 'The body is too large.',
  415: 'The body is not JSON.',
  422: 'What was sent cannot be used; every problem with its place.',
  429: 'Too many bad tokens from this address.',
  503: 'The store cannot be reached, or too much came at once; the same again may succeed.',
}

/** The document of all routes, made from what the routes themselves parse and answer. */
export function openApiDocument(
  routes: readonly Route[],
): ReturnType<OpenApiGeneratorV31['generateDocument']> {
  const registry = new OpenAPIRegistry()
  const schemas = createJsonSchemas()
  const problem = { 'application/problem+json': { schema: schemas.of(problemSchema, 'output') } }
  for (const route of routes) {
    const sends = route.method !== 'get'
    const statuses = [400, 401, 403, 429, 503, ...(sends ? [413, 415] : []), ...(route.problems ?? [])]
    const problems = [...new Set(statuses)]
      .sort()
      .map((status) => [String(status), { description: MEANING[status] ?? 'A problem.', content: problem }])
    const content =
      route.response === undefined
        ? route.produces === undefined
          ? {}
          : { content: { [route.produces]: { schema: { type: 'string' as const } } } }
        : { content: { 'application/json': { schema: schemas.of(route.response, 'output') } } }
    registry.registerPath({
      method: route.method,
      path: route.path,
      operationId: operationId(route),
      summary: route.summary,
      tags: [route.tag],
      description: [route.description, `Needs the permission \`${route.permission}\`.`]
        .filter(Boolean)
        .join('\n\n'),
      security: [{ bearer: [] }],
      parameters: [...parametersOf(route, 'path', schemas), ...parametersOf(route, 'query', schemas)],
      ...(route.body === undefined
        ? {}
        : {
            request: {
              body: {
                required: !route.body.safeParse({}).success,
                content: { 'application/json': { schema: schemas.of(route.body, 'input') } },
              },
            },
          }),
      responses: {
        [String(route.status ?? 200)]: { description: 'Done.', ...content },
        ...(route.notModified === true ? { 304: { description: 'Nothing has changed.' } } : {}),
        ...(Object.fromEntries(problems) as Record<string, { description: string }>),
      },
    })
  }
  registry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' })
  for (const [name, schema] of Object.entries(schemas.components)) {
    registry.registerComponent('schemas', name, { ...schema })
  }
  return new OpenApiGeneratorV31(registry.definitions, { sortComponents: 'alphabetically' }).generateDocument(
    {
      openapi: '3.1.0',
      info: {
        title: 'Switchback',
        version: '1',
        description: 'Feature flags with schema-version gating. Errors are problem documents (RFC 9457).',
      },
    },
  )
}

const operationId = ({ method, path }: Route): string =>
  [method, ...path.split('/').filter((part) => part !== '' && part !== 'v1')]
    .map((part) => part.replace(/[{}]/g, '').replaceAll('.', '-'))
    .join('-')

function parametersOf(route: Route, where: 'path' | 'query', schemas: JsonSchemas) {
  const schema = where === 'path' ? route.params : route.query
  if (schema === undefined) return []
  const { properties, required } = schemas.of(schema, 'input') as {
    properties?: Record<string, JsonSchema>
    required?: readonly string[]
  }
  return Object.entries(properties ?? {}).map(([name, { description, ...type }]) => ({
    name,
    in: where,
    required: where === 'path' || (required?.includes(name) ?? false),
    schema: type,
    ...(typeof description === 'string' ? { description } : {}),
  }))
}
