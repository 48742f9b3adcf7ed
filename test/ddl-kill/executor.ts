/** Runs the expand of the script on the database of argv, and says which statement it is at. */
import { definitionSchema } from '@switchback/migrations-registry'
import { createExecution } from '@switchback/server'
import { EXPAND } from './script.ts'

const [url = ''] = process.argv.slice(2)
const execution = createExecution({
  url,
  log: { warn: () => undefined },
  archiveDir: '/nonexistent',
  clock: Date.now,
})
const definition = definitionSchema.parse({ id: 'killed', title: 'Killed again and again' })
const signal = new AbortController().signal
const order = {
  definition,
  sql: { expand: EXPAND, rollback: '' },
  epoch: 2,
  signal,
  report: ({ done, total }: { done?: number; total?: number }) => {
    if (done !== undefined && done < (total ?? 0)) process.stdout.write(`at ${done}\n`)
  },
  heldBackBy: () => undefined,
  committing: async () => undefined,
}
try {
  for (;;) {
    const done = await execution.exclusively('killed', () => execution.run('expand', order))
    if (done !== undefined) break
    // The session of the one before is still there: its process was killed a moment ago.
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  process.stdout.write('done\n')
} finally {
  await execution.end()
}
