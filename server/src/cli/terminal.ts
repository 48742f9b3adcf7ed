import Table from 'cli-table3'
import pico from 'picocolors'

/** Where a command writes, and what it knows of its surroundings; passed in, so that tests can look. */
export interface Terminal {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** A person looks on: colours and progress bars make sense. */
  readonly isTty: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  readonly now: () => number
  readonly fetch: typeof fetch
  /** All that is written to the command, for options that take `-`. */
  readonly input?: () => Promise<string>
}

export type Paint = ReturnType<typeof pico.createColors>

export const paintFor = (terminal: Terminal): Paint =>
  pico.createColors(terminal.isTty && (terminal.env.NO_COLOR ?? '') === '')

// Terminal control characters in what the server tells (names come from anywhere) must not reach the terminal.
const CONTROL = /\p{Cc}/gu
export const plain = (text: string): string =>
  text.replaceAll(CONTROL, (found) => (found === '\n' ? found : '\u{fffd}'))

/** Rows under headings, without lines, as `kubectl` and `docker` do. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  paint: Paint,
): string {
  const none = { top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '' }
  const lines = new Table({
    head: headings.map((heading) => paint.dim(heading)),
    chars: {
      ...none,
      'bottom-left': '',
      'bottom-right': '',
      left: '',
      'left-mid': '',
      mid: '',
      'mid-mid': '',
      right: '',
      'right-mid': '',
      middle: '  ',
    },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  })
  lines.push(...rows.map((row) => row.map(plain)))
  return lines
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

/** Times come as Unix milliseconds or as ISO 8601. */
export type Time = number | string

export const millis = (time: Time): number => (typeof time === 'number' ? time : Date.parse(time))

export const clockTime = (time: Time): string => {
  const ms = millis(time)
  return Number.isFinite(ms) ? new Date(ms).toISOString().replace('T', ' ').replace('Z', '') : String(time)
}
