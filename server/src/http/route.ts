import type { IncomingHttpHeaders } from 'node:http'
import type { z } from 'zod'
import type { Permission } from '../tokens/permissions.ts'
import type { Principal } from '../tokens/tokens.ts'
import type { HttpProblem } from './problem.ts'

type Method = 'get' | 'post' | 'put' | 'delete'

/** What a handler may know of a request beyond its parsed parts. */
export interface RequestContext {
  readonly principal: Principal
  readonly headers: IncomingHttpHeaders
  /** The body as it came; empty where there is none. */
  readonly raw: Buffer
  readonly requestId: string
  /** Runs `task` once the sender has hung up, or has been answered: nobody is waited for in vain. */
  readonly whenGone: (task: () => void) => void
}

/** Domain types are readonly all the way down, parsed ones are not; an answer may be either. */
export type Immutable<T> = T extends (infer Item)[]
  ? readonly Immutable<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Immutable<T[Key]> }
    : T

export interface Reply<Body> {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Body
  /** Instead of a body: text of a type of its own. */
  readonly text?: { readonly type: string; readonly content: string }
}

interface Parts<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType> {
  /** Parameters of the path, by the names in braces. */
  readonly params?: Params
  readonly query?: Query
  readonly body?: Body
}

interface Described<Response extends z.ZodType> {
  readonly method: Method
  /** In the form of OpenAPI: `/v1/migrations/{id}`. */
  readonly path: string
  readonly summary: string
  readonly description?: string
  readonly tag: string
  readonly permission: Permission
  /** Status of the hoped-for answer; 200 where not given. */
  readonly status?: number
  readonly response?: Response
  /** Media type of an answer that is text. */
  readonly produces?: string
  /** Statuses that are answered besides those every route has. */
  readonly problems?: readonly number[]
  /** Answers 304 to a sender that has the present `ETag`. */
  readonly notModified?: boolean
  /** Answers a problem in the words of another protocol; undefined leaves it a problem document. */
  readonly problemAs?: (problem: HttpProblem, params: Readonly<Record<string, unknown>>) => unknown
  /** The path parameter that names a migration; tokens of another scope are refused. */
  readonly scopedBy?: string
}

/** A route as the app mounts it and as OpenAPI tells of it: one description for both. */
export interface Route extends Described<z.ZodType>, Parts<z.ZodType, z.ZodType, z.ZodType> {
  readonly handle: (
    input: { readonly params: unknown; readonly query: unknown; readonly body: unknown },
    context: RequestContext,
  ) => Promise<Reply<unknown>>
}

/**
 * Describes a route. The handler gets what its schemas parsed, and must answer what `response` says: an
 * OpenAPI document made from routes cannot lie about either.
 */
export function route<
  Params extends z.ZodType = z.ZodUndefined,
  Query extends z.ZodType = z.ZodUndefined,
  Body extends z.ZodType = z.ZodUndefined,
  Response extends z.ZodType = z.ZodUndefined,
>(
  described: Described<Response> &
    Parts<Params, Query, Body> & {
      readonly handle: (
        input: {
          readonly params: z.output<Params>
          readonly query: z.output<Query>
          readonly body: z.output<Body>
        },
        context: RequestContext,
      ) => Promise<Reply<Immutable<z.input<Response>>>>
    },
): Route {
  // The parts were parsed by the very schemas that type them.
  return described as unknown as Route
}
