import { z } from 'zod'
import { parseS3 } from '../archive/s3-store.ts'
import { number, url } from './config-parts.ts'
import { signOnShape } from './sign-on-schema.ts'

export const postgresUrl = url('postgres:', 'postgresql:')

/** Every setting, with what it means; `docs/configuration.md` is made from this. */
export const configSchema = z.object({
  DATABASE_URL: postgresUrl
    .optional()
    .describe('PostgreSQL for the store. Without it, a bundled PostgreSQL runs in the data folder.'),
  REDIS_URL: url('redis:', 'rediss:')
    .optional()
    .describe('Redis by which several servers tell each other of changes. Without it they poll the store.'),
  HOST: z.string().min(1).default('127.0.0.1').describe('Address to listen on.'),
  PORT: number('a port', 0, 65_535).default(7410).describe('Port to listen on; 0 takes a free one.'),
  SWITCHBACK_DATA: z
    .string()
    .min(1)
    .default('./.switchback')
    .describe('Folder for the bundled PostgreSQL, archives and the first admin token.'),
  SWITCHBACK_ADMIN_TOKEN: z
    .string()
    .min(24, 'expected at least 24 characters')
    .optional()
    .describe('Admin token to begin with. Without it one is made and written to `<data>/admin-token`.'),
  SWITCHBACK_SECRET_KEY: z
    .string()
    .min(32, 'expected at least 32 characters')
    .optional()
    .describe(
      'Key that secrets of alert sources and of notification channels are encrypted with; the same for all servers of a cluster. Without it one is made and kept in `<data>/secret-key`.',
    ),
  ARCHIVE_URL: z
    .string()
    .refine(
      (text) => parseS3(text) !== undefined || !text.includes('://'),
      'expected a folder, or s3://bucket/prefix?region=…&endpoint=…',
    )
    .optional()
    .describe(
      'Where archives of what contract drops are kept: a folder, or `s3://bucket/prefix?region=…&endpoint=…`; credentials from where the AWS SDK looks for them. Default: `<data>/archive`.',
    ),
  PUBLIC_URL: url('https:', 'http:')
    .optional()
    .describe('Address by which people reach this server; notices link to it.'),
  NOTIFY_HTTP_HOSTS: z
    .string()
    .regex(/^[\w.-]+(,[\w.-]+)*$/, 'expected host names with commas between')
    .transform((text) => text.split(','))
    .optional()
    .describe('Hosts that notices may be sent to without encryption, with commas between.'),
  ALERTMANAGER_URL: url('https:', 'http:')
    .optional()
    .describe('Alertmanager to ask for alerts that fire and have never arrived.'),
  ALERTMANAGER_LOOK_MS: number('milliseconds', 1000, 600_000)
    .default(15_000)
    .describe('How often Alertmanager is asked, in ms.'),
  MIGRATIONS_DIR: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Folder whose migrations are registered at start, one folder each. Code that a migration names (`copy.step`) is run from here alone; workers need it too.',
    ),
  HEARTBEAT_MS: number('milliseconds', 10, 600_000)
    .default(5_000)
    .describe('How often instances renew their lease, in ms.'),
  LEASE_MS: number('milliseconds', 20, 3_600_000)
    .default(15_000)
    .describe(
      'How long an instance counts as alive without being heard of, in ms; at least twice HEARTBEAT_MS.',
    ),
  POLL_MS: number('milliseconds', 10, 60_000)
    .default(1_000)
    .describe('How often the store is asked for changes made by other servers, in ms.'),
  SWITCHBACK_CHECK_COMMANDS: z
    .enum(['on', 'off'])
    .default('off')
    .describe(
      'Whether checks of migrations may run programs on this machine. Whoever registers migrations can then run what they like with the rights of the server.',
    ),
  ...signOnShape,
  ALERTS_KEEP_DAYS: number('days', 0, 36_500)
    .default(90)
    .describe(
      'How long alerts and ended breaches of tripwires are kept, in days after they last came; 0 keeps them for good. What an incident rests on stays.',
    ),
  NOTICES_KEEP_DAYS: number('days', 0, 36_500)
    .default(90)
    .describe('How long notices that were sent or given up are kept, in days; 0 keeps them for good.'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('What is logged.'),
})
