import { useState } from 'react'
import type { Operations } from '../api/schema.d.ts'
import { useChange } from '../api/use-api.ts'
import { Dialog } from '../ui/dialog.tsx'
import { FormEnd } from '../ui/form-end.tsx'
import { ShownOnce } from './shown-once.tsx'

type Role = Operations['POST /v1/tokens']['body']['role']
const ROLES: readonly Role[] = ['viewer', 'operator', 'approver', 'admin', 'sdk', 'alert']
const DAY_MS = 86_400_000
const LIVES = [
  { days: undefined, name: 'until it is revoked' },
  { days: 1, name: 'a day' },
  { days: 30, name: '30 days' },
  { days: 365, name: 'a year' },
] as const

/** Makes a token, and shows its text the one time that it can be shown. */
export function NewToken({ onClose }: { readonly onClose: () => void }) {
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>('viewer')
  const [migrations, setMigrations] = useState('')
  const [days, setDays] = useState<number>()
  const create = useChange('POST /v1/tokens')
  const scope = migrations.split(/[\s,]+/).filter((id) => id !== '')
  if (create.data !== undefined) {
    return (
      <Dialog open onClose={onClose} title={`Token of ${create.data.name}`}>
        <ShownOnce text={create.data.token} onClose={onClose} />
      </Dialog>
    )
  }
  return (
    <Dialog open onClose={onClose} title="New token">
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          create.mutate({
            body: {
              name: name.trim(),
              role,
              ...(scope.length === 0 ? {} : { migrations: scope }),
              ...(days === undefined ? {} : { expiresAt: Date.now() + days * DAY_MS }),
            },
          })
        }}
      >
        <label className="field">
          <span>Who or what uses it</span>
          <input className="input" value={name} onChange={(event) => setName(event.target.value)} />
        </label>
        <div className="row">
          <label className="field">
            <span>Role</span>
            <select className="input" value={role} onChange={(event) => setRole(event.target.value as Role)}>
              {ROLES.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </label>
          <label className="field">
            <span>Valid for</span>
            <select
              className="input"
              value={days ?? ''}
              onChange={(event) =>
                setDays(event.target.value === '' ? undefined : Number(event.target.value))
              }
            >
              {LIVES.map((life) => (
                <option key={life.name} value={life.days ?? ''}>
                  {life.name}
                </option>
              ))}
            </select>
          </label>
        </div>
        <label className="field">
          <span>Only for these migrations; for all where left empty</span>
          <input
            className="input"
            placeholder="user-profiles, trip-receipts"
            value={migrations}
            onChange={(event) => setMigrations(event.target.value)}
          />
        </label>
        <FormEnd
          verb="Make it"
          busy={create.isPending}
          whyNot={name.trim() === '' ? 'Say who or what uses it.' : undefined}
          error={create.error}
          onClose={onClose}
        />
      </form>
    </Dialog>
  )
}
