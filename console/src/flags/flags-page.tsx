import { useState } from 'react'
import type { Schema } from '../api/client.ts'
import { useRead } from '../api/use-api.ts'
import { readsOf, WRITES } from '../migration/words.ts'
import { useSession } from '../session/session.tsx'
import { Page } from '../shell/page.tsx'
import { Button } from '../ui/button.tsx'
import { Chip } from '../ui/chip.tsx'
import { Trouble } from '../ui/notice.tsx'
import { Evaluate } from './evaluate.tsx'
import { FlagDialog } from './flag-dialog.tsx'
import type { StoredFlag } from './flag-form.ts'
import { FlagItem } from './flag-item.tsx'
import './flags.css'

/** Every flag there is: two of each migration, and the ordinary ones beside them. */
export function FlagsPage() {
  const migrations = useRead('GET /v1/migrations')
  const flags = useRead('GET /v1/flags')
  const [chosen, setChosen] = useState('')
  const [editing, setEditing] = useState<StoredFlag | 'new'>()
  const { whyNot } = useSession()
  const ordinary = flags.data?.flags ?? []
  const led = migrations.data?.migrations ?? []
  const keys = [
    ...ordinary.map(({ key }) => key),
    ...led.flatMap(({ id, config }) => [
      `${id}.read`,
      `${id}.write`,
      ...(config.alias === undefined ? [] : [config.alias]),
    ]),
  ]
  return (
    <Page title="Flags" about="What each of them says now, and what it would say to somebody.">
      <div className="flags">
        <div className="stack figures">
          <Trouble error={flags.data === undefined ? flags.error : undefined} />
          <section className="card" aria-labelledby="of-migrations">
            <header>
              <h2 id="of-migrations">Of migrations</h2>
            </header>
            <div className="body table-scroll">
              <table className="table">
                <thead>
                  <tr>
                    <th>Flag</th>
                    <th>Says now</th>
                    <th>Phase</th>
                  </tr>
                </thead>
                <tbody>
                  {led.map((migration) => (
                    <MigrationFlags key={migration.id} migration={migration} onChoose={setChosen} />
                  ))}
                </tbody>
              </table>
            </div>
          </section>
          <section className="card" aria-labelledby="ordinary">
            <header>
              <h2 id="ordinary">Ordinary ones</h2>
              <Button icon="flag" whyNot={whyNot('operate')} onPress={() => setEditing('new')}>
                New flag
              </Button>
            </header>
            <div className="body stack">
              {ordinary.length === 0 && (
                <p className="second">
                  None yet. One may need a schema: it goes off by itself where that is not there.
                </p>
              )}
              {ordinary.map((flag) => (
                <FlagItem key={flag.key} flag={flag} onChoose={setChosen} onEdit={() => setEditing(flag)} />
              ))}
            </div>
          </section>
        </div>
        <Evaluate keys={keys} chosen={chosen} onChoose={setChosen} />
      </div>
      {editing !== undefined && (
        <FlagDialog flag={editing === 'new' ? undefined : editing} onClose={() => setEditing(undefined)} />
      )}
    </Page>
  )
}

interface MigrationFlagsProps {
  readonly migration: Schema<'Migration'>
  readonly onChoose: (key: string) => void
}

function MigrationFlags({ migration, onChoose }: MigrationFlagsProps) {
  const { id, config, state } = migration
  const set = state.overrides
  const rows = [
    { key: `${id}.read`, says: readsOf(config.read), apart: set.read !== undefined },
    { key: `${id}.write`, says: WRITES[config.write], apart: set.write !== undefined },
    ...(config.alias === undefined
      ? []
      : [{ key: config.alias, says: 'true where this context reads new', apart: false }]),
  ]
  return rows.map(({ key, says, apart }) => (
    <tr key={key}>
      <td>
        <button type="button" className="link" onClick={() => onChoose(key)}>
          {key}
        </button>
      </td>
      <td>
        {says}{' '}
        {apart && (
          <Chip tone="warn" icon="warning">
            Set by hand
          </Chip>
        )}
      </td>
      <td>{state.phase}</td>
    </tr>
  ))
}
