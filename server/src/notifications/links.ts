import type { Notice } from './notice.ts'

interface About {
  readonly migration: string
  readonly incident?: string
}

/** Where to read on, for people; none where the server does not know by which address they reach it. */
export const linksFor =
  (publicUrl: string | undefined) =>
  ({ migration, incident }: About): Notice['links'] => {
    if (publicUrl === undefined) return []
    const base = publicUrl.replace(/\/+$/, '')
    const runbook = {
      title: 'Runbook',
      url: `${base}/v1/migrations/${encodeURIComponent(migration)}/runbook`,
    }
    if (incident === undefined) return [runbook]
    const report = { title: 'Report', url: `${base}/v1/incidents/${encodeURIComponent(incident)}/report` }
    return [report, runbook]
  }
