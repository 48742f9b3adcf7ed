import type { Command } from 'commander'
import type { Check, Outcome } from '../doctor/check.ts'
import { type Paint, paintFor, plain, type Terminal } from './terminal.ts'

const HELP = `
Reads the settings that \`switchback serve\` would read, and looks at store, targets, Redis, disk and port. Changes
nothing, and prints no secret. Exit codes: 0 nothing failed, 1 something did.`

/** `doctor`: what would keep a server from working, before it is started. */
export function addDoctor(program: Command, terminal: Terminal, done: (code: 0 | 1) => void): void {
  program
    .command('doctor')
    .description('check settings, store, targets, Redis, clocks, disk and port')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', HELP)
    .action(async ({ json = false }: { readonly json?: boolean }) => {
      // Loaded when asked for: it brings the clients of everything that a server talks to.
      const { examine } = await import('../doctor/doctor.ts')
      const paint = paintFor(terminal)
      const checks: Check[] = []
      for await (const found of examine({ env: terminal.env, clock: terminal.now, fetch: terminal.fetch })) {
        checks.push(...found)
        if (!json) terminal.out(found.map((check) => `${checkText(check, paint)}\n`).join(''))
      }
      const count = (outcome: Outcome): number => checks.filter((check) => check.outcome === outcome).length
      const counts = { ok: count('ok'), warn: count('warn'), fail: count('fail') }
      terminal.out(
        json
          ? `${JSON.stringify({ ok: counts.fail === 0, counts, checks }, undefined, 2)}\n`
          : `${counts.ok} ok, ${counts.warn} to look at, ${counts.fail} failed\n`,
      )
      done(counts.fail === 0 ? 0 : 1)
    })
}

function checkText({ outcome, area, message, action }: Check, paint: Paint): string {
  const mark = { ok: paint.green, warn: paint.yellow, fail: paint.red }[outcome]
  const line = `${mark(outcome.padEnd(4))}  ${paint.dim(area)}  ${plain(message)}`
  return action === undefined ? line : `${line}\n      what to do: ${plain(action)}`
}
