import type { Notice, Severity } from './notice.ts'

/** What is sent by HTTP: the body as JSON. */
export type Message = Readonly<Record<string, unknown>>

const SIGN: Readonly<Record<Severity, string>> = { critical: '🔴', warning: '🟠', info: '🟢' }

/** Slack, and what understands its incoming webhooks (Mattermost, Rocket.Chat, Discord with /slack). */
export function slackMessage(notice: Notice): Message {
  const { title, text, severity, facts, links } = notice
  const sections = [
    { type: 'header', text: { type: 'plain_text', text: `${SIGN[severity]} ${title}`.slice(0, 150) } },
    { type: 'section', text: { type: 'mrkdwn', text: escaped(text).slice(0, 3000) } },
    ...(facts.length === 0
      ? []
      : [
          {
            type: 'section',
            fields: facts.slice(0, 10).map(({ name, value }) => ({
              type: 'mrkdwn',
              text: `*${name}*\n${escaped(value)}`.slice(0, 2000),
            })),
          },
        ]),
    ...(links.length === 0
      ? []
      : [
          {
            type: 'section',
            text: { type: 'mrkdwn', text: links.map((link) => `<${link.url}|${link.title}>`).join('  ') },
          },
        ]),
  ]
  return { text: `${SIGN[severity]} ${escaped(`${title}: ${text}`)}`.slice(0, 3000), blocks: sections }
}

/** Text from anywhere must not become a mention or a link. */
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

const COLOUR: Readonly<Record<Severity, string>> = { critical: 'attention', warning: 'warning', info: 'good' }

/** Teams, through a workflow: an adaptive card. */
export function teamsMessage({ title, text, severity, facts, links }: Notice): Message {
  const card = {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    body: [
      {
        type: 'TextBlock',
        size: 'Medium',
        weight: 'Bolder',
        wrap: true,
        color: COLOUR[severity],
        text: title,
      },
      { type: 'TextBlock', wrap: true, text: text.slice(0, 5000) },
      {
        type: 'FactSet',
        facts: facts.map(({ name, value }) => ({ title: name, value: value.slice(0, 1000) })),
      },
    ],
    actions: links.map((link) => ({ type: 'Action.OpenUrl', title: link.title, url: link.url })),
  }
  const content = { contentType: 'application/vnd.microsoft.card.adaptive', contentUrl: null, content: card }
  return { type: 'message', attachments: [content] }
}

const ACTION = { resolved: 'resolve', acknowledged: 'acknowledge' } as const
const MAX_KEY = 255

/** PagerDuty Events, version 2. All notices of an incident are one alert there. */
export function pagerdutyMessage(notice: Notice, routingKey: string): Message {
  const { kind, title, text, severity, facts, links, incident, migration, at } = notice
  const action = kind === 'resolved' || kind === 'acknowledged' ? ACTION[kind] : 'trigger'
  const details = Object.fromEntries(facts.map(({ name, value }) => [name, value]))
  return {
    routing_key: routingKey,
    event_action: action,
    dedup_key: `switchback:${incident ?? `${kind}:${migration ?? 'server'}`}`.slice(0, MAX_KEY),
    client: 'Switchback',
    links: links.map((link) => ({ href: link.url, text: link.title })),
    payload: {
      summary: `${title}: ${text}`.slice(0, 1024),
      source: migration ?? 'switchback',
      severity,
      timestamp: new Date(at).toISOString(),
      custom_details: details,
    },
  }
}

/** The body of a signed webhook: as Standard Webhooks has it. */
export const webhookMessage = (notice: Notice): Message => ({
  type: `switchback.${notice.kind}`,
  timestamp: new Date(notice.at).toISOString(),
  data: notice,
})

/** E-mail, as plain text. */
export function mailText({ text, facts, links }: Notice): string {
  const lines = [
    text,
    '',
    ...facts.map(({ name, value }) => `${name}: ${value}`),
    '',
    ...links.map((link) => `${link.title}: ${link.url}`),
  ]
  return `${lines.join('\n').trim()}\n`
}
