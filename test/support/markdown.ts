import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { marked, type Token, type Tokens } from 'marked'

/** A fenced piece of a page. */
export interface Snippet {
  /** What it is written in: the first word after the fence. */
  readonly language: string
  readonly text: string
}

/** A page of the documentation. */
export interface Page {
  /** From the root of the repository. */
  readonly file: string
  readonly snippets: readonly Snippet[]
  /** Addresses of links and pictures, as they are written. */
  readonly links: readonly string[]
  /** Names by which links reach its headings. */
  readonly anchors: ReadonlySet<string>
  /** What is set as code within the text. */
  readonly codes: readonly string[]
}

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))
const SKIPPED = new Set(['node_modules', 'dist'])

async function filesUnder(folder: string): Promise<readonly string[]> {
  const entries = await readdir(join(REPOSITORY, folder), { withFileTypes: true })
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) {
        return SKIPPED.has(entry.name) || entry.name.startsWith('.') ? [] : await filesUnder(path)
      }
      return entry.name.endsWith('.md') ? [path] : []
    }),
  )
  return found.flat()
}

/** Every page of the repository, read as Markdown. */
export async function pages(): Promise<readonly Page[]> {
  const files = [...(await filesUnder('.'))].sort()
  return await Promise.all(
    files.map(async (file) => pageOf(file, await readFile(join(REPOSITORY, file), 'utf8'))),
  )
}

export function pageOf(file: string, text: string): Page {
  const snippets: Snippet[] = []
  const links: string[] = []
  const codes: string[] = []
  const headings: string[] = []
  // The parser's types leave room for extensions, whose tokens may be anything.
  const take = (token: Token) => {
    if (token.type === 'code') {
      const { lang = '', text: code } = token as Tokens.Code
      snippets.push({ language: lang.split(/\s/, 1)[0] ?? '', text: code })
    } else if (token.type === 'link' || token.type === 'image') links.push((token as Tokens.Link).href)
    else if (token.type === 'codespan') codes.push((token as Tokens.Codespan).text)
    else if (token.type === 'heading') headings.push((token as Tokens.Heading).text)
  }
  marked.walkTokens(marked.lexer(text), take)
  return { file, snippets, links, codes, anchors: anchorsOf(headings) }
}

/** As GitHub makes them: in small letters, without punctuation, and numbered where they would be the same. */
function anchorsOf(headings: readonly string[]): ReadonlySet<string> {
  const anchors = new Set<string>()
  for (const heading of headings) {
    const base = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, '')
      .replaceAll(' ', '-')
    let name = base
    for (let n = 1; anchors.has(name); n++) name = `${base}-${n}`
    anchors.add(name)
  }
  return anchors
}

/**
 * The commands of a `console` piece: what stands after `$ `, without comments. Words in quotes stay together;
 * nothing else of a shell is understood.
 */
export const commandsIn = (text: string): readonly (readonly string[])[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('$ '))
    .flatMap((line) => line.slice(2).split('&&'))
    .map(wordsOf)

export function wordsOf(line: string): readonly string[] {
  const words: string[] = []
  for (const [, single, double, plain] of line.matchAll(/'([^']*)'|"([^"]*)"|(<[^>]*>|[^\s'"]+)/g)) {
    const word = single ?? double ?? plain ?? ''
    // The rest is a comment, or goes to another program or a file.
    if (plain !== undefined && /^[#|>]/.test(plain)) break
    words.push(word)
  }
  return words
}
