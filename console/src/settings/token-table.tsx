import { useState } from 'react'
import type { Schema } from '../api/client.ts'
import { useChange } from '../api/use-api.ts'
import { ReasonDialog } from '../migration/reason-dialog.tsx'
import { Button } from '../ui/button.tsx'
import { Chip } from '../ui/chip.tsx'
import { Ago, Moment, useNow } from '../ui/time.tsx'

type Token = Schema<'Token'>

export function TokenTable({ tokens }: { readonly tokens: readonly Token[] }) {
  const [revoking, setRevoking] = useState<Token>()
  const revoke = useChange('DELETE /v1/tokens/{id}')
  const now = useNow()
  return (
    <div className="table-scroll">
      <table className="table">
        <thead>
          <tr>
            <th>Name</th>
            <th>Role</th>
            <th>For</th>
            <th>Made</th>
            <th>Used</th>
            <th>State</th>
            <th>
              <span className="hidden-text">Revoke</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {tokens.map((token) => (
            <tr key={token.id}>
              <td>
                <strong>{token.name}</strong>
              </td>
              <td>{token.role}</td>
              <td>{token.migrations?.join(', ') ?? 'all migrations'}</td>
              <td>
                <Moment at={token.createdAt} /> by {token.createdBy}
              </td>
              <td>{token.lastUsedAt === undefined ? 'never' : <Ago at={token.lastUsedAt} />}</td>
              <td>
                <State token={token} now={now} />
              </td>
              <td>
                <Button
                  compact
                  label={`Revoke ${token.name}`}
                  whyNot={token.revokedAt === undefined ? undefined : 'It is revoked already.'}
                  onPress={() => setRevoking(token)}
                >
                  Revoke
                </Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {revoking !== undefined && (
        <ReasonDialog
          title={`Revoke the token of ${revoking.name}`}
          about="Whoever uses it is turned away at once, and its connections are ended. It cannot be taken back."
          verb="Revoke"
          danger
          busy={revoke.isPending}
          error={revoke.error}
          onClose={() => setRevoking(undefined)}
          onConfirm={() =>
            revoke.mutate({ params: { id: revoking.id } }, { onSuccess: () => setRevoking(undefined) })
          }
        />
      )}
    </div>
  )
}

function State({ token, now }: { readonly token: Token; readonly now: number }) {
  if (token.revokedAt !== undefined) return <Chip icon="cross">Revoked</Chip>
  if (token.expiresAt !== undefined && token.expiresAt <= now) return <Chip icon="clock">Expired</Chip>
  return (
    <Chip tone="ok" icon="check">
      Valid
    </Chip>
  )
}
