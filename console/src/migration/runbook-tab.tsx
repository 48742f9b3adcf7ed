import { useRead } from '../api/use-api.ts'
import { Button } from '../ui/button.tsx'
import { Trouble } from '../ui/notice.tsx'
import { saveText } from '../ui/save-text.ts'
import type { Detail } from './migration-page.tsx'

/** What can be done from here, with the exact commands, as the server writes it for this phase. */
export function RunbookTab({ migration }: { readonly migration: Detail }) {
  const { id } = migration
  const { data, error } = useRead('GET /v1/migrations/{id}/runbook', { params: { id } })
  // Markdown, which the description of the API has no type for.
  const text: unknown = data
  if (typeof text !== 'string') return <Trouble error={error} />
  return (
    <div className="stack">
      <div className="row">
        <Button compact icon="download" onPress={() => saveText(`${id}-runbook.md`, 'text/markdown', text)}>
          Markdown
        </Button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <pre className="code-block runbook" tabIndex={0}>
        {text}
      </pre>
    </div>
  )
}
