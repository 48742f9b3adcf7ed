import { execFile } from 'node:child_process'
import type { Check } from '@switchback/migrations-registry'
import { nameOfCheck } from '@switchback/migrations-registry'
import type { Inspection } from '../target/inspection.ts'
import type { Finding } from './verification-store.ts'

export interface CheckDeps {
  readonly inspection: Pick<Inspection, 'assert'>
  /** Whether checks may run programs on this machine. */
  readonly commands: boolean
  /** What a program is told through its environment. */
  readonly environment: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

const TIMEOUT_MS = 10_000
/** As much of an answer is looked through for a text. */
const MAX_ANSWER = 256 * 1024

/** Runs one check. What cannot be run at all is inconclusive; what ran and did not hold has failed. */
export async function runCheck(check: Check, deps: CheckDeps): Promise<Finding> {
  const name = nameOfCheck(check)
  const timeoutMs = check.timeout ?? TIMEOUT_MS
  const finding = (outcome: Finding['outcome'], message: string): Finding => ({ name, outcome, message })
  try {
    if ('sql' in check) {
      const holds = await deps.inspection.assert(check.sql, timeoutMs)
      return holds ? finding('verified', 'It gives true.') : finding('failed', 'It does not give true.')
    }
    if ('http' in check) return finding(...(await request(check, timeoutMs, deps.signal)))
    if (!deps.commands) {
      const message = 'Commands are off on this server: set SWITCHBACK_CHECK_COMMANDS to on to allow them.'
      return finding('inconclusive', message)
    }
    return finding(...(await runProgram(check.command, timeoutMs, deps)))
  } catch (error) {
    return finding('failed', messageOf(error))
  }
}

type Outcome = readonly [Finding['outcome'], string]

async function request(
  { http, expect, contains }: Extract<Check, { http: string }>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Outcome> {
  const response = await fetch(http, {
    // Another host may be one that this server alone can reach.
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    headers: { 'user-agent': 'switchback-check' },
  })
  try {
    if (response.status !== expect) return ['failed', `Answered ${response.status}; expected ${expect}.`]
    if (contains !== undefined && !(await beginningOf(response)).includes(contains)) {
      return ['failed', `Answered ${expect}, without the text that is expected.`]
    }
    return ['verified', `Answered ${expect}.`]
  } finally {
    await response.body?.cancel().catch(() => undefined)
  }
}

async function beginningOf(response: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  const reader = response.body?.getReader()
  try {
    for (;;) {
      const part = await reader?.read()
      if (part === undefined || part.done || text.length >= MAX_ANSWER) return text
      text += decoder.decode(part.value, { stream: true })
    }
  } finally {
    reader?.releaseLock()
  }
}

/** Without a shell, and without this server's environment: it holds secrets. */
function runProgram(
  [program = '', ...args]: readonly string[],
  timeout: number,
  { environment, signal }: CheckDeps,
): Promise<Outcome> {
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin', ...environment }
  return new Promise((resolve) => {
    const settings = { env, timeout, signal, killSignal: 'SIGKILL', maxBuffer: MAX_ANSWER } as const
    execFile(program, args, settings, (error, _out, err) => {
      if (error === null) return resolve(['verified', 'It ended with 0.'])
      const said = err.trim().split('\n').at(-1)?.slice(0, 300)
      resolve(['failed', `${endOf(error, timeout)}${said === undefined || said === '' ? '' : `: ${said}`}`])
    })
  })
}

function endOf(error: Error & { code?: unknown; killed?: boolean }, timeout: number): string {
  if (error.killed === true) return `It did not end within ${timeout} ms`
  return typeof error.code === 'number' ? `It ended with ${error.code}` : messageOf(error)
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return 'No answer in time.'
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : ''
  return `${error.message}${cause}`.slice(0, 500)
}
