interface Words {
  readonly title: string
  readonly text: string
}

type Told = (provider: string) => Words

const WORDS: Readonly<Record<string, Told>> = {
  cancelled: (provider) => ({
    title: 'You did not sign in',
    text: `You came back from ${provider} without having signed in.`,
  }),
  expired: () => ({
    title: 'That took too long',
    text: 'Signing in has to end within ten minutes, in the browser that began it. Begin again.',
  }),
  'provider-unreachable': (provider) => ({
    title: `${provider} cannot be reached`,
    text: 'Try again in a moment, or sign in with a token.',
  }),
  'provider-refused': (provider) => ({
    title: `${provider} turned this server away`,
    text: 'Most likely its client is not set up right there. The log of the server says what it answered.',
  }),
  'not-proven': (provider) => ({
    title: 'It could not be proven who you are',
    text: `What ${provider} sent did not stand up to the checks. Begin again; if it stays so, the log says why.`,
  }),
  'no-role': (provider) => ({
    title: 'You have no role here',
    text: `${provider} knows you, but none of your groups there has a role at Switchback. Ask whoever looks after it.`,
  }),
  'email-not-allowed': () => ({
    title: 'Your address is not let in',
    text: 'Switchback lets in proven addresses of certain domains only, and yours is not one of them.',
  }),
  'groups-left-out': (provider) => ({
    title: `${provider} did not say which groups you are in`,
    text: 'You are in too many for it to list. Have it send only those that concern Switchback.',
  }),
  'too-many': () => ({
    title: 'Too many attempts',
    text: 'Wait a minute, then try again.',
  }),
}

/** What went wrong, in plain words; the page knows each reason, and repeats nothing from the address. */
export function troubleWords(code: string, provider: string | undefined): Words {
  const told = Object.hasOwn(WORDS, code) ? WORDS[code] : undefined
  return told?.(provider ?? 'The provider') ?? { title: 'Signing in did not work', text: 'Try again.' }
}
