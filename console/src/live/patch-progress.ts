import type { QueryClient } from '@tanstack/react-query'
import type { Answer, Schema } from '../api/client.ts'

type Progress = Schema<'Work'>['progress']

export interface WorkUpdate {
  readonly migration: string
  readonly kind: string
  readonly epoch: number
  readonly progress: Progress
}

/** Puts the progress of database work into what was read before: it is told several times a second. */
export function patchProgress(client: QueryClient, { migration, kind, epoch, progress }: WorkUpdate): void {
  client.setQueriesData<Answer<'GET /v1/migrations/{id}'>>(
    { predicate: ({ queryKey }) => queryKey[0] === 'GET /v1/migrations/{id}' },
    (shown) =>
      shown === undefined || shown.id !== migration
        ? shown
        : {
            ...shown,
            works: shown.works.map((work) =>
              work.kind === kind && work.epoch === epoch
                ? { ...work, progress, updatedAt: Date.now() }
                : work,
            ),
          },
  )
  client.setQueriesData<{ readonly pages: readonly Answer<'GET /v1/overview'>[] }>(
    { predicate: ({ queryKey }) => queryKey[0] === 'GET /v1/overview' },
    (shown) =>
      shown?.pages === undefined
        ? shown
        : {
            ...shown,
            pages: shown.pages.map((page) => ({
              ...page,
              migrations: page.migrations.map((row) =>
                row.id === migration && row.work?.kind === kind && row.work.epoch === epoch
                  ? { ...row, work: { ...row.work, progress } }
                  : row,
              ),
            })),
          },
  )
}
