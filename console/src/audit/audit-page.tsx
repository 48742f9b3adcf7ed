import { useInfiniteQuery } from '@tanstack/react-query'
import { useDeferredValue, useState } from 'react'
import { useCall } from '../api/use-api.ts'
import { Nothing, Page } from '../shell/page.tsx'
import { Button } from '../ui/button.tsx'
import { count } from '../ui/format.ts'
import { Notice, Trouble } from '../ui/notice.tsx'
import { saveText } from '../ui/save-text.ts'
import { VirtualList } from '../ui/virtual-list.tsx'
import { type AuditEvent, EventItem } from './event-list.tsx'
import { eventWords } from './event-words.ts'
import { useVerify } from './use-verify.ts'

const PAGE = 100
const EXPORT_PAGE = 1_000

/** The log of every change, hash-chained: filtered, checked, and taken along. */
export function AuditPage() {
  const call = useCall()
  const [subject, setSubject] = useState('')
  const [words, setWords] = useState('')
  const [saving, setSaving] = useState(false)
  const about = useDeferredValue(subject.trim())
  const needle = useDeferredValue(words.trim().toLowerCase())
  const verify = useVerify()
  const query = { subject: about === '' ? undefined : about }
  const found = useInfiniteQuery({
    queryKey: ['GET /v1/events', {}, query],
    queryFn: ({ pageParam, signal }) =>
      call('GET /v1/events', { query: { ...query, before: pageParam, limit: PAGE } }, signal),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: ({ events }) => (events.length < PAGE ? undefined : events.at(-1)?.revision),
    placeholderData: (before) => before,
  })
  const all = found.data?.pages.flatMap((page) => page.events) ?? []
  const events = needle === '' ? all : all.filter((event) => textOf(event).includes(needle))

  async function everything(): Promise<readonly AuditEvent[]> {
    const kept: AuditEvent[] = []
    for (let before: number | undefined; ; ) {
      const page = await call('GET /v1/events', { query: { ...query, before, limit: EXPORT_PAGE } })
      kept.push(...page.events)
      before = page.events.at(-1)?.revision
      if (page.events.length < EXPORT_PAGE) return kept
    }
  }

  const save = async () => {
    setSaving(true)
    try {
      const kept = (await everything()).filter((event) => textOf(event).includes(needle))
      saveText(
        'audit.ndjson',
        'application/x-ndjson',
        kept.map((event) => `${JSON.stringify(event)}\n`).join(''),
      )
    } finally {
      setSaving(false)
    }
  }

  return (
    <Page
      title="Audit"
      about="Every change, by whom, in the order of commits. Each entry carries the hash of the one before."
      actions={
        <div className="row">
          <Button icon="approve" busy={verify.isPending} onPress={() => verify.run()}>
            Check the chain
          </Button>
          <Button icon="download" busy={saving} onPress={() => void save()}>
            Export
          </Button>
        </div>
      }
    >
      <div className="stack figures">
        <div aria-live="polite">
          {verify.data?.ok === true && (
            <Notice tone="ok" title={`The chain holds: ${count(verify.data.events)} entries`}>
              <code className="wrap-anywhere">{verify.data.hash}</code>
            </Notice>
          )}
          {verify.data?.ok === false && (
            <Notice tone="bad" title={`The chain is broken at revision ${verify.data.brokenAt}`}>
              {verify.data.problem}
            </Notice>
          )}
          <Trouble error={verify.error} />
        </div>
        <div className="row">
          <label className="field">
            <span>About</span>
            <input
              className="input"
              placeholder="a migration, flag, token or instance"
              value={subject}
              onChange={(event) => setSubject(event.target.value)}
            />
          </label>
          <label className="field">
            <span>Containing</span>
            <input
              className="input"
              placeholder="who, what, why"
              value={words}
              onChange={(event) => setWords(event.target.value)}
            />
          </label>
        </div>
        <Trouble error={found.data === undefined ? found.error : undefined} />
        {found.data !== undefined && (
          <section className="card" aria-label="Changes">
            <div className="body">
              {events.length === 0 && <Nothing title="Nothing like that" />}
              <VirtualList
                items={events}
                keyOf={(event) => String(event.revision)}
                estimate={58}
                total={events.length}
                hasMore={found.hasNextPage}
                onMore={() => {
                  if (!found.isFetchingNextPage) void found.fetchNextPage()
                }}
                render={(event) => <EventItem event={event} />}
              />
            </div>
          </section>
        )}
      </div>
    </Page>
  )
}

const textOf = (event: AuditEvent): string =>
  `${event.actor} ${event.kind} ${event.subject ?? ''} ${eventWords(event)}`.toLowerCase()
