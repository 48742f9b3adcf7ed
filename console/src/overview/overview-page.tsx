import { useInfiniteQuery } from '@tanstack/react-query'
import { useDeferredValue, useState } from 'react'
import type { Answer } from '../api/client.ts'
import { useCall } from '../api/use-api.ts'
import { Nothing, Page } from '../shell/page.tsx'
import { count, several } from '../ui/format.ts'
import { Icon } from '../ui/icon.tsx'
import { Trouble } from '../ui/notice.tsx'
import { VirtualList } from '../ui/virtual-list.tsx'
import { Figures } from './figures.tsx'
import { MigrationRow } from './migration-row.tsx'
import { OpenIncidents } from './open-incidents.tsx'
import './overview.css'

type Shown = keyof Answer<'GET /v1/overview'>['totals']
const SHOWN: readonly { readonly key: Shown; readonly name: string }[] = [
  { key: 'all', name: 'All' },
  { key: 'attention', name: 'Needs attention' },
  { key: 'active', name: 'Under way' },
  { key: 'planned', name: 'Planned' },
  { key: 'done', name: 'Done' },
]
const PAGE = 50
/** Positions of instances are no news of their own on other servers. */
const LOOK_MS = 5_000

export function useOverview(show: Shown, search: string) {
  const call = useCall()
  return useInfiniteQuery({
    queryKey: ['GET /v1/overview', {}, { show, search }],
    queryFn: ({ pageParam, signal }) =>
      call('GET /v1/overview', { query: { show, search, after: pageParam, limit: PAGE } }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next,
    placeholderData: (before) => before,
    refetchInterval: LOOK_MS,
  })
}

export function OverviewPage() {
  const [show, setShow] = useState<Shown>('all')
  const [search, setSearch] = useState('')
  const found = useOverview(show, useDeferredValue(search))
  const first = found.data?.pages[0]
  const rows = found.data?.pages.flatMap((page) => page.migrations) ?? []
  const { totals } = first ?? {}
  return (
    <Page
      title="Overview"
      about={
        totals === undefined
          ? 'Where every migration stands.'
          : `${several(totals.all, 'migration')}: ${count(totals.active)} under way, ${count(totals.attention)} in need of attention.`
      }
    >
      <div className="stack overview">
        <OpenIncidents />
        <Figures />
        <div className="spread">
          <fieldset className="choices">
            <legend className="hidden-text">Show</legend>
            {SHOWN.map(({ key, name }) => (
              <button key={key} type="button" aria-pressed={show === key} onClick={() => setShow(key)}>
                {name} <span className="muted">{totals === undefined ? '' : count(totals[key])}</span>
              </button>
            ))}
          </fieldset>
          <label className="search">
            <Icon name="search" />
            <span className="hidden-text">Search migrations</span>
            <input
              className="input"
              type="search"
              placeholder="Search by name or team"
              value={search}
              onChange={(event) => setSearch(event.target.value)}
            />
          </label>
        </div>
        <Trouble error={found.data === undefined ? found.error : undefined} />
        {first !== undefined && rows.length === 0 && (
          <div className="card">
            <Nothing title={totals?.all === 0 ? 'No migration yet' : 'None like that'}>
              {totals?.all === 0
                ? 'Register one with POST /v1/migrations, or set MIGRATIONS_DIR.'
                : 'Choose another list, or search for something else.'}
            </Nothing>
          </div>
        )}
        {rows.length > 0 && (
          <section className="card figures overview-list" aria-label="Migrations">
            <div className="overview-columns" aria-hidden="true">
              <span>Migration</span>
              <span>Phase</span>
              <span>What it does now</span>
              <span>Fleet</span>
              <span />
            </div>
            <VirtualList
              items={rows}
              keyOf={(row) => row.id}
              estimate={86}
              hasMore={found.hasNextPage}
              onMore={() => {
                if (!found.isFetchingNextPage) void found.fetchNextPage()
              }}
              total={first?.matching ?? rows.length}
              render={(row) => <MigrationRow row={row} />}
            />
          </section>
        )}
      </div>
    </Page>
  )
}
