import type { Command } from 'commander'
import { migrationPath, parseCount, remote, withQuery } from './remote.ts'
import type { Terminal } from './terminal.ts'
import { plain } from './terminal.ts'
import type { StatsView } from './views.ts'

const percent = (share: number | undefined): string =>
  share === undefined ? 'none has ended yet' : `${Math.round(share * 1000) / 10}%`

function statsText({ migrations, reverts, downtime, corruptionIncidents, satisfaction }: StatsView): string {
  const { timeToRollback: time, verified } = reverts
  const { total, completed, underWay, reverted, successRate } = migrations
  return [
    `success        ${percent(successRate)}: ${completed} completed, ${reverted} reverted, ${underWay} under way, of ${total}`,
    `reverts        ${reverts.total}, ${verified.verified} verified, ${verified.failed} not well; ${reverts.refused} refused`,
    `to rollback    ${time === undefined ? (reverts.total === 0 ? 'never' : 'not known: no instance was there to acknowledge') : `p50 ${time.p50} ms, p99 ${time.p99} ms, at most ${time.max} ms`}`,
    `downtime       ${downtime.failed} of ${downtime.served} operations that new served failed`,
    `corruption     ${corruptionIncidents} incidents`,
    `satisfaction   ${satisfaction.mean === undefined ? 'nobody has said' : `${satisfaction.mean} of 5, ${satisfaction.answers} answers`}`,
  ].join('\n')
}

/** Adds the commands that make something of what is written down. */
export function addReviewCommands(program: Command, terminal: Terminal, incident: Command): void {
  remote(
    program.command('runbook').description('what can be done now, in Markdown').argument('<id>'),
    terminal,
    async ({ client, show }, [id = '']) => {
      const markdown = await client.text(migrationPath(id, '/runbook'))
      show({ markdown }, () => plain(markdown.trimEnd()))
    },
  )
  remote(
    incident.command('report').description('the report of an incident, in Markdown').argument('<id>'),
    terminal,
    async ({ client, show }, [id = '']) => {
      const markdown = await client.text(`/v1/incidents/${encodeURIComponent(id)}/report`)
      show({ markdown }, () => plain(markdown.trimEnd()))
    },
  )
  remote(
    incident.command('texts').description('texts for a status page, one for each stage').argument('<id>'),
    terminal,
    async ({ client, show }, [id = '']) => {
      const path = `/v1/incidents/${encodeURIComponent(id)}/communications`
      const answer = await client.call<Readonly<Record<string, string>>>('GET', path)
      show(answer, () =>
        Object.entries(answer)
          .map(([stage, text]) => plain(`${stage}\n  ${text}`))
          .join('\n'),
      )
    },
  )
  remote<{ migration?: string }>(
    program.command('stats').description('how migrations went').option('--migration <id>'),
    terminal,
    async ({ client, show }, _, { migration }) => {
      const answer = await client.call<StatsView>('GET', withQuery('/v1/stats', { migration }))
      show(answer, () => statsText(answer))
    },
  )
  remote<{ score: number; comment?: string }>(
    program
      .command('rate')
      .description('say how a completed migration went')
      .argument('<id>')
      .requiredOption('--score <1-5>', 'from 1 to 5', parseCount)
      .option('--comment <text>'),
    terminal,
    async ({ client, show }, [id = ''], { score, comment }) => {
      const body = { score, ...(comment === undefined ? {} : { comment }) }
      const answer = await client.call('POST', migrationPath(id, '/satisfaction'), body)
      show(answer ?? { rated: id, score }, () => `thank you: ${id} ${score} of 5`)
    },
  )
}
