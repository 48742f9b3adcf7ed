import { type ScanToken, scan, scanSync } from 'libpg-query'

/** A word of SQL with its place in bytes of UTF-8. */
export type Word = ScanToken

/**
 * The scanner answers in JSON and leaves control characters in it as they are. Another one of the same length
 * takes their place: blank for those that part words, a letter for those inside of names and strings.
 */
const scannable = (text: string): string =>
  text.replaceAll(/[^\P{Cc}\n\r\t]/gu, (found) =>
    found === '\f' || found === '\v' ? ' ' : found.charCodeAt(0) < 0x20 ? '_' : found,
  )

const isComment = ({ tokenName }: Word): boolean => tokenName === 'SQL_COMMENT' || tokenName === 'C_COMMENT'

interface Words {
  readonly words: readonly Word[]
  readonly comments: readonly Word[]
}

const parted = (tokens: readonly Word[]): Words => ({
  words: tokens.filter((token) => !isComment(token)),
  comments: tokens.filter(isComment),
})

/** The parser must have been loaded before. */
export const wordsOfSync = (text: string): Words => parted(scanSync(scannable(text)).tokens)

/** Words of a statement as they were written, without comments. */
export async function wordsOf(text: string): Promise<readonly string[]> {
  const { tokens } = await scan(scannable(text))
  const bytes = Buffer.from(text, 'utf8')
  return parted(tokens).words.map(({ start, end }) => bytes.subarray(start, end).toString('utf8'))
}
