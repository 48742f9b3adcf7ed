import type { Command } from 'commander'
import { UsageError } from './client.ts'
import { migrationPath, type Remote, remote, withQuery } from './remote.ts'
import { plain, type Terminal, table } from './terminal.ts'
import type { MigrationView } from './views.ts'

interface CopiedRangeView {
  readonly name: string
  readonly state: string
  readonly rows: number
  readonly total: number
}

interface FailedRowView {
  readonly key: string
  readonly sqlstate: string
  readonly error: string
  readonly failedAt: string | number
}

const PAGE = 100
const COLUMNS = ['key', 'sqlstate', 'error', 'failedAt'] as const

/** Adds the commands about copying history. */
export function addCopyCommands(program: Command, terminal: Terminal): void {
  remote<{ csv?: boolean; jsonl?: boolean }>(
    program
      .command('failed-rows')
      .description('rows that the backfill could not copy, each with its error; they block the gate')
      .argument('<id>')
      .option('--csv', 'as CSV, to keep in a file')
      .option('--jsonl', 'as JSON, one row on each line'),
    terminal,
    failedRows,
  )
  remote(
    program
      .command('ranges')
      .description('ranges of the backfill, in the order in which they are done')
      .argument('<id>'),
    terminal,
    async ({ client, show, paint }, [id = '']) => {
      const found = await client.call<{ readonly ranges: readonly CopiedRangeView[] }>(
        'GET',
        migrationPath(id, '/ranges'),
      )
      show(found, () =>
        found.ranges.length === 0
          ? 'All of old is gone through at once.'
          : table(
              ['range', 'state', 'rows', 'of'],
              found.ranges.map(({ name, state, rows, total }) => [name, state, String(rows), String(total)]),
              paint,
            ),
      )
    },
  )
  remote<{ set: readonly string[] }>(
    program
      .command('throttle')
      .description('change what holds copying back, also while it runs')
      .argument('<id>')
      .requiredOption(
        '--set <limit=value...>',
        'such as rowsPerSecond=2000 latencyP99=50ms; "off" takes one off',
      ),
    terminal,
    async ({ client, show }, [id = ''], { set }) => {
      const body = Object.fromEntries(set.map(parseLimit))
      const view = await client.call<MigrationView>('POST', migrationPath(id, '/throttle'), body)
      show(view, () => `${id}: ${JSON.stringify(view.state.throttle ?? {})}`)
    },
  )
  remote<{ off?: boolean }>(
    program
      .command('backfill')
      .description('let copying run; --off holds it')
      .argument('<id>')
      .option('--off', 'hold it'),
    terminal,
    async ({ client, show }, [id = ''], { off }) => {
      const view = await client.call<MigrationView>('POST', migrationPath(id, '/backfill'), {
        on: off !== true,
      })
      show(view, () => `${id}: copying ${view.state.backfillOn ? 'may run' : 'is held'}`)
    },
  )
}

async function failedRows(
  { client, show, terminal }: Remote,
  [id = '']: readonly string[],
  { csv, jsonl }: { csv?: boolean; jsonl?: boolean },
): Promise<void> {
  if (csv === true && jsonl === true) throw new UsageError('failed-rows takes either --csv or --jsonl')
  const rows: FailedRowView[] = []
  if (csv === true) terminal.out(`${COLUMNS.join(',')}\n`)
  let after: string | undefined
  do {
    const page = await client.call<{ readonly rows: readonly FailedRowView[]; readonly next?: string }>(
      'GET',
      withQuery(migrationPath(id, '/failed-rows'), { limit: PAGE, after }),
    )
    for (const row of page.rows) {
      if (csv === true) terminal.out(`${COLUMNS.map((name) => csvField(String(row[name]))).join(',')}\n`)
      else if (jsonl === true) terminal.out(`${JSON.stringify(row)}\n`)
      else rows.push(row)
    }
    after = page.next
  } while (after !== undefined)
  if (csv === true || jsonl === true) return
  show({ rows }, () =>
    rows.length === 0
      ? 'No failed rows.'
      : rows.map(({ key, sqlstate, error }) => plain(`${key}  ${sqlstate}  ${error}`)).join('\n'),
  )
}

const csvField = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

function parseLimit(text: string): [string, unknown] {
  const [, name = '', value = ''] = /^([^=]+)=(.+)$/.exec(text) ?? []
  if (name === '') throw new UsageError(`--set takes limit=value, such as rowsPerSecond=2000, not "${text}"`)
  if (value === 'off') return [name, null]
  if (value === 'true' || value === 'false') return [name, value === 'true']
  return [name, /^\d+(\.\d+)?$/.test(value) ? Number(value) : value]
}
