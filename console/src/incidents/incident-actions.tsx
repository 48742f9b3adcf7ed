import { useState } from 'react'
import type { Schema } from '../api/client.ts'
import { useCall, useChange } from '../api/use-api.ts'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { saveText } from '../ui/save-text.ts'
import { useToast } from '../ui/toasts.tsx'

/** What a person does about an incident: say that it is seen to, and take the report along. */
export function IncidentActions({ incident }: { readonly incident: Schema<'IncidentDetail'> }) {
  const { id, status } = incident
  const call = useCall()
  const { whyNot } = useSession()
  const say = useToast()
  const acknowledge = useChange('POST /v1/incidents/{id}/ack')
  const [reading, setReading] = useState(false)

  const take = async () => {
    setReading(true)
    try {
      // Markdown, which the description of the API has no type for.
      const text: unknown = await call('GET /v1/incidents/{id}/report', { params: { id } })
      saveText(`${id}.md`, 'text/markdown', String(text))
    } catch (error) {
      say(`There is no report: ${error instanceof Error ? error.message : 'unknown'}`)
    } finally {
      setReading(false)
    }
  }

  return (
    <>
      {status === 'open' && (
        <Button
          icon="check"
          busy={acknowledge.isPending}
          whyNot={whyNot('operate')}
          onPress={() =>
            acknowledge.mutate(
              { params: { id } },
              {
                onSuccess: () => say('Acknowledged: nobody else is woken for it.'),
                onError: (error) => say(`Refused: ${error.message}`),
              },
            )
          }
        >
          Acknowledge
        </Button>
      )}
      <Button icon="download" busy={reading} onPress={() => void take()}>
        Report
      </Button>
    </>
  )
}
