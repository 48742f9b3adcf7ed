import { useState } from 'react'
import type { Schema } from '../api/client.ts'
import { useChange } from '../api/use-api.ts'
import { Dialog } from '../ui/dialog.tsx'
import { FormEnd } from '../ui/form-end.tsx'
import { words } from './new-source.tsx'
import { ShownOnce } from './shown-once.tsx'

type Body = Schema<'NewChannel'>
type Kind = Body['kind']

interface Form {
  readonly name: string
  readonly url: boolean
  readonly urlWords: string
  readonly example: string
  readonly key?: string
  readonly mail?: true
}

/** What each kind of channel has to be told. */
const FORMS: Readonly<Record<Kind, Form>> = {
  slack: {
    name: 'Slack',
    url: true,
    urlWords: 'Incoming webhook',
    example: 'https://hooks.slack.com/services/…',
  },
  teams: { name: 'Teams', url: true, urlWords: 'Workflow address', example: 'https://….logic.azure.com/…' },
  pagerduty: { name: 'PagerDuty', url: false, urlWords: '', example: '', key: 'Routing key' },
  email: {
    name: 'E-mail',
    url: true,
    urlWords: 'Mail server',
    example: 'smtps://user:password@mail.example',
    mail: true,
  },
  webhook: { name: 'Webhook', url: true, urlWords: 'Address', example: 'https://ops.example/switchback' },
}

/** Makes a channel that notices go to. */
export function NewChannel({ onClose }: { readonly onClose: () => void }) {
  const [kind, setKind] = useState<Kind>('slack')
  const [texts, setTexts] = useState({ name: '', url: '', key: '', from: '', to: '', migrations: '' })
  const create = useChange('POST /v1/channels')
  const form = FORMS[kind]
  const field = (name: keyof typeof texts, label: string, example: string, secret = false) => (
    <label className="field">
      <span>{label}</span>
      <input
        className="input"
        type={secret ? 'password' : 'text'}
        autoComplete="off"
        value={texts[name]}
        placeholder={example}
        onChange={(event) => setTexts({ ...texts, [name]: event.target.value })}
      />
    </label>
  )
  if (create.data?.key !== undefined) {
    return (
      <Dialog open onClose={onClose} title={`Secret of ${create.data.name}`}>
        <p className="second">With it the receiver tells that a notice is from here.</p>
        <ShownOnce text={create.data.key} onClose={onClose} />
      </Dialog>
    )
  }
  return (
    <Dialog open onClose={onClose} title="New channel">
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          create.mutate(
            { body: bodyOf(kind, texts) },
            { onSuccess: ({ key }) => (key === undefined ? onClose() : undefined) },
          )
        }}
      >
        <div className="pair">
          <label className="field">
            <span>Kind</span>
            <select className="input" value={kind} onChange={(event) => setKind(event.target.value as Kind)}>
              {(Object.keys(FORMS) as Kind[]).map((each) => (
                <option key={each} value={each}>
                  {FORMS[each].name}
                </option>
              ))}
            </select>
          </label>
          {field('name', 'Name, as definitions call it', '#riders-oncall')}
        </div>
        {form.url && field('url', form.urlWords, form.example, true)}
        {form.key !== undefined && field('key', form.key, '', true)}
        {form.mail && (
          <div className="pair">
            {field('from', 'From', 'switchback@bimride.example')}
            {field('to', 'To', 'oncall@bimride.example')}
          </div>
        )}
        {field('migrations', 'Only about these migrations; about all where left empty', 'user-profiles')}
        <FormEnd
          verb="Make it"
          busy={create.isPending}
          whyNot={texts.name.trim() === '' ? 'Give it a name first.' : undefined}
          error={create.error}
          onClose={onClose}
        />
      </form>
    </Dialog>
  )
}

function bodyOf(
  kind: Kind,
  {
    name,
    url,
    key,
    from,
    to,
    migrations,
  }: Readonly<Record<'name' | 'url' | 'key' | 'from' | 'to' | 'migrations', string>>,
): Body {
  const { url: hasUrl, key: hasKey, mail } = FORMS[kind]
  const [only, mailTo] = [words(migrations), words(to)]
  return {
    name: name.trim(),
    kind,
    ...(hasUrl && url.trim() !== '' ? { url: url.trim() } : {}),
    ...(hasKey !== undefined && key.trim() !== '' ? { key: key.trim() } : {}),
    ...(mail && from.trim() !== '' ? { from: from.trim() } : {}),
    ...(mail && mailTo.length > 0 ? { to: mailTo } : {}),
    ...(only.length > 0 ? { migrations: only } : {}),
  }
}
