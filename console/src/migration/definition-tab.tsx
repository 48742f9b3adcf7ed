import { useRead } from '../api/use-api.ts'
import { Trouble } from '../ui/notice.tsx'
import type { Detail } from './migration-page.tsx'

/** The text that was registered, word for word. */
export function DefinitionTab({ migration }: { readonly migration: Detail }) {
  const { data, error } = useRead('GET /v1/migrations/{id}/files', { params: { id: migration.id } })
  return (
    <div className="stack">
      <p className="small muted wrap-anywhere">
        Checksum <code>{migration.checksum}</code>. It can be replaced only while the migration is planned.
      </p>
      <Trouble error={error} />
      {data !== undefined && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
        <pre className="code-block" tabIndex={0}>
          {data.yaml}
        </pre>
      )}
    </div>
  )
}
