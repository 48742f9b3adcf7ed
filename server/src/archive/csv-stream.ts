import { createHash } from 'node:crypto'
import { Transform } from 'node:stream'

export interface CsvMeter extends Transform {
  /** Of the bytes that passed. */
  sha256(): string
  bytes(): number
  /** Rows that passed, without the header. */
  rows(): number
}

const QUOTE = 0x22
const NEWLINE = 0x0a

/** Lets CSV pass and measures it. A line break inside of quotes is part of a value. */
export function csvMeter(): CsvMeter {
  const hash = createHash('sha256')
  let bytes = 0
  let lines = 0
  let inQuotes = false
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      bytes += chunk.length
      for (const byte of chunk) {
        if (byte === QUOTE) inQuotes = !inQuotes
        else if (byte === NEWLINE && !inQuotes) lines += 1
      }
      done(null, chunk)
    },
  })
  return Object.assign(meter, {
    sha256: () => hash.copy().digest('hex'),
    bytes: () => bytes,
    rows: () => Math.max(0, lines - 1),
  })
}
