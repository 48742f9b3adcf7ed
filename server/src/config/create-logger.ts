import type { DestinationStream, Logger } from 'pino'
import { pino } from 'pino'
import type { Config } from './config.ts'

const SECRETS = ['authorization', 'cookie', 'x-api-key'].flatMap((header) => [
  `headers["${header}"]`,
  `req.headers["${header}"]`,
])

/** The one logger; whatever is logged of a request, its credentials are not. */
export function createLogger(level: Config['logLevel'], destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { service: 'switchback' },
    redact: { paths: [...SECRETS, 'token', '*.token'], censor: '[redacted]' },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}
