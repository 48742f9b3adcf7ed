/** Where the SDK tells what a person may need to know. */
export interface Log {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
}

const emit = (message: string, fields: Readonly<Record<string, unknown>> | undefined): void =>
  process.emitWarning(fields === undefined ? message : `${message} ${JSON.stringify(fields)}`, {
    type: 'SwitchbackWarning',
  })

/** Without a log of the application's own: warnings and errors as process warnings, the rest not at all. */
export const processLog: Log = { info: () => undefined, warn: emit, error: emit }
