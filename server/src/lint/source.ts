/** A text with positions as PostgreSQL's parser gives them: in bytes of UTF-8. */
export interface Source {
  readonly file: string
  readonly text: string
  /** Number of bytes. */
  readonly length: number
  /** The text between two byte offsets. */
  slice(start: number, end: number): string
  /** Line and column from 1; columns count code points, so that é is one. */
  position(offset: number): Position
  /** A line from 1, without its end; empty where there is none. */
  line(number: number): string
}

export interface Position {
  readonly line: number
  readonly column: number
}

const NEWLINE = 0x0a

export function createSource(file: string, text: string): Source {
  const bytes = Buffer.from(text, 'utf8')
  const starts = [0]
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) starts.push(at + 1)
  const slice = (start: number, end: number): string => bytes.toString('utf8', start, end)
  const startOf = (number: number): number => starts[number - 1] ?? bytes.length
  return {
    file,
    text,
    length: bytes.length,
    slice,
    position(offset) {
      let low = 0
      let high = starts.length - 1
      while (low < high) {
        const middle = (low + high + 1) >> 1
        if ((starts[middle] ?? 0) <= offset) low = middle
        else high = middle - 1
      }
      return { line: low + 1, column: [...slice(starts[low] ?? 0, offset)].length + 1 }
    },
    line: (number) => slice(startOf(number), startOf(number + 1)).replace(/\r?\n$/, ''),
  }
}
