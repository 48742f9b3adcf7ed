/** Why somebody could not sign in; the console has words for each. Nothing else of the reason leaves the server. */
export type SignOnTrouble =
  /** The person said no, or left, at the provider. */
  | 'cancelled'
  /** Took too long, was begun in another browser, or was answered already. */
  | 'expired'
  | 'provider-unreachable'
  /** The provider said no to this server: its settings, most likely. */
  | 'provider-refused'
  /** What the provider answered does not prove who it is about. */
  | 'not-proven'
  /** None of the person's groups has a role here. */
  | 'no-role'
  /** The person's address is of no domain that is let in. */
  | 'email-not-allowed'
  /** The provider tells of the groups elsewhere, since they are too many for the token. */
  | 'groups-left-out'
  | 'too-many'

/** Signing in came to nothing. The message is for the log. */
export class SignOnError extends Error {
  override readonly name = 'SignOnError'
  readonly code: SignOnTrouble
  /** Whether the same again may succeed. */
  readonly retryable: boolean

  constructor(code: SignOnTrouble, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.retryable = code === 'provider-unreachable' || code === 'expired' || code === 'too-many'
  }
}
