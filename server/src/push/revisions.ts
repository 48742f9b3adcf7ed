/** News that the store has reached a revision; from this process, from Redis, or found by polling. */
export interface Revisions {
  /** Newest revision that this server knows of. */
  readonly current: number
  /** Called after a commit in this process: tells the listeners here at once, and the other servers. */
  announce(revision: number): void
  /** Listeners are called in order of revision, never with an older one. */
  onRevision(listener: (revision: number) => void): () => void
  stop(): Promise<void>
}
