/** What the composed parts need of a logger; pino's fits. */
export interface ServerLog {
  info(detail: object, message: string): void
  warn(detail: object, message: string): void
  error(detail: object, message: string): void
}
