import type { QueryClient } from '@tanstack/react-query'

/** News that comes in a burst is followed by one reading; the first of it at once. */
const REST_MS = 120

/** Answers that no change can touch. */
const FIXED = new Set(['GET /v1/phases'])

/** Answers about one migration that its instances do not touch. */
const WITHOUT_FLEET = new Set(
  ['plan', 'files', 'dry-run', 'chunks', 'repairs', 'rows', 'health', 'events'].map(
    (what) => `GET /v1/migrations/{id}/${what}`,
  ),
)

interface Refresher {
  /** Something about these was committed. */
  changed(subjects: readonly string[]): void
  /** Instances have applied or drained an epoch of these. */
  fleet(migrations: readonly string[]): void
  all(): void
  stop(): void
}

type Key = readonly [operation: string, params: Readonly<Record<string, string>>]

/** Reads again what is on the screen and what the news concerns. */
export function createRefresher(client: QueryClient): Refresher {
  let waiting: { readonly subjects: Set<string>; lists: boolean } | undefined
  let timer: ReturnType<typeof setTimeout> | undefined

  function read(subjects: ReadonlySet<string>, lists: boolean): void {
    void client.invalidateQueries({
      predicate: ({ queryKey }) => {
        const [operation, params] = queryKey as unknown as Key
        if (FIXED.has(operation)) return false
        if (!lists && WITHOUT_FLEET.has(operation)) return false
        if (operation.includes('/migrations/{id}')) return subjects.has(params.id ?? '')
        return lists || operation === 'GET /v1/overview' || operation === 'GET /v1/incidents/{id}'
      },
    })
  }

  function flush(): void {
    timer = undefined
    if (waiting === undefined) return
    const { subjects, lists } = waiting
    waiting = undefined
    read(subjects, lists)
    timer = setTimeout(flush, REST_MS)
  }

  function note(subjects: readonly string[], lists: boolean): void {
    waiting ??= { subjects: new Set(), lists: false }
    for (const subject of subjects) waiting.subjects.add(subject)
    waiting.lists ||= lists
    if (timer === undefined) flush()
  }

  return {
    changed: (subjects) => note(subjects, true),
    fleet: (migrations) => note(migrations, false),
    all: () => void client.invalidateQueries(),
    stop: () => clearTimeout(timer),
  }
}
