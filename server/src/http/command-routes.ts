import {
  migrationIdSchema,
  PHASES,
  percentSchema,
  READ_VARIANTS,
  throttleChangeSchema,
  WRITE_VARIANTS,
} from '@switchback/migrations-registry'
import { z } from 'zod'
import type { Command, PhaseService } from '../phases/phase-service.ts'
import type { Permission } from '../tokens/permissions.ts'
import { actorOf, authorize } from './authenticate.ts'
import { migrationView } from './migration-view.ts'
import { HttpProblem } from './problem.ts'
import { changedOrThrow } from './refusal.ts'
import type { Route } from './route.ts'
import { route } from './route.ts'
import { migrationSchema, reason } from './schemas.ts'

interface CommandRoute<Body extends z.ZodType> {
  readonly name: string
  readonly summary: string
  readonly description?: string
  readonly permission?: Permission
  readonly body?: Body
  readonly command: (body: z.output<Body>) => Command
}

const share = z.union([percentSchema, z.number().min(0).max(1)], {
  error: 'expected a percentage such as "10%", or a number from 0 to 1',
})

const empty = z.strictObject({})

/** What can be asked of a migration; each route is one command. */
export function commandRoutes({
  phases,
}: {
  readonly phases: Pick<PhaseService, 'command'>
}): readonly Route[] {
  const command = <Body extends z.ZodType = typeof empty>(asked: CommandRoute<Body>): Route =>
    route({
      method: 'post',
      path: `/v1/migrations/{id}/${asked.name}`,
      tag: 'migrations',
      permission: asked.permission ?? 'operate',
      summary: asked.summary,
      ...(asked.description === undefined ? {} : { description: asked.description }),
      params: z.object({ id: migrationIdSchema }),
      scopedBy: 'id',
      body: asked.body ?? empty,
      response: migrationSchema,
      problems: [404, 409],
      handle: async ({ params: { id }, body }, { principal }) => {
        const order = asked.command(body as z.output<Body>)
        if (order.type === 'advance' && order.force !== undefined) {
          authorize(principal, 'administer')
          if (order.reason === undefined) {
            throw new HttpProblem('invalid-request', 'To pass over blockers takes a reason.', {
              problems: [{ path: 'body.reason', message: 'expected a reason where "force" is given' }],
            })
          }
        }
        const result = await phases.command(id, order, actorOf(principal))
        return { body: migrationView(changedOrThrow(result)) }
      },
    })

  return [
    command({
      name: 'advance',
      summary: 'Takes the next step, if the gate is open',
      description:
        'Answers 409 with the blockers where the gate is closed. With `epoch` the step is taken at that epoch alone, so that asking twice takes one step. `force` names codes of blockers to pass over; only such as can lose no data can be, it needs the role admin and a reason.',
      body: z.strictObject({
        epoch: z.int().min(0).optional(),
        force: z.array(z.string().min(1).max(100)).min(1).max(20).optional(),
        reason: reason.optional(),
      }),
      command: ({ epoch, force, reason: why }) => ({
        type: 'advance',
        ...(epoch === undefined ? {} : { epoch }),
        ...(force === undefined ? {} : { force }),
        ...(why === undefined ? {} : { reason: why }),
      }),
    }),
    command({
      name: 'rollout',
      summary: 'Sets the share of keys, or the number of canary instances, that new serves',
      body: z
        .strictObject({ share: share.optional(), canaries: z.int().min(0).max(1000).optional() })
        .refine((body) => body.share !== undefined || body.canaries !== undefined, {
          message: 'expected "share", "canaries", or both',
        }),
      command: (body) => ({
        type: 'set-rollout',
        ...(body.share === undefined ? {} : { share: body.share }),
        ...(body.canaries === undefined ? {} : { canaries: body.canaries }),
      }),
    }),
    command({ name: 'pause', summary: 'Stops copying and advancing', command: () => ({ type: 'pause' }) }),
    command({ name: 'resume', summary: 'Goes on after a pause', command: () => ({ type: 'resume' }) }),
    command({
      name: 'revert',
      summary: 'Switches the flags back at once, and latches',
      body: z.strictObject({ reason, to: z.enum(PHASES).optional() }),
      command: ({ reason: why, to }) => ({
        type: 'revert',
        cause: { kind: 'manual', reason: why },
        ...(to === undefined ? {} : { to }),
      }),
    }),
    command({
      name: 'rearm',
      summary: 'Takes off the latch of a revert, and resolves its incident',
      body: z.strictObject({ reason }),
      command: ({ reason: why }) => ({ type: 'rearm', reason: why }),
    }),
    command({
      name: 'approve',
      permission: 'approve',
      summary: 'Approves contract',
      command: () => ({ type: 'approve' }),
    }),
    command({ name: 'retry', summary: 'Starts failed work again', command: () => ({ type: 'retry-work' }) }),
    command({
      name: 'restore',
      permission: 'approve',
      summary: 'Brings back from the archive what contract dropped',
      command: () => ({ type: 'restore' }),
    }),
    command({
      name: 'verify',
      summary: 'Compares every row of both paths once more',
      description:
        'In shadow and ramp, where both are written and old leads. What differs is copied from old; the gate waits for the result, which is in the works and in the audit log.',
      command: () => ({ type: 'verify' }),
    }),
    command({
      name: 'flags',
      summary: 'Sets read and write apart from the phase; null gives back to it',
      body: z
        .strictObject({
          read: z.enum(READ_VARIANTS).nullable().optional(),
          write: z.enum(WRITE_VARIANTS).nullable().optional(),
        })
        .refine((body) => body.read !== undefined || body.write !== undefined, {
          message: 'expected "read", "write", or both',
        }),
      command: (body) => ({
        type: 'set-flags',
        ...(body.read === undefined ? {} : { read: body.read }),
        ...(body.write === undefined ? {} : { write: body.write }),
      }),
    }),
    command({
      name: 'throttle',
      summary: 'Changes what holds copying and comparing back, also while it runs',
      description:
        'Limits that are left out stay as they are; null takes one off. A limit whose signal cannot be read holds the work back.',
      body: throttleChangeSchema,
      command: (change) => ({ type: 'set-throttle', change }),
    }),
    command({
      name: 'backfill',
      summary: 'Lets copying run, or not',
      body: z.strictObject({ on: z.boolean() }),
      command: ({ on }) => ({ type: 'set-backfill', on }),
    }),
  ]
}
