import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { definitionSchema } from '@switchback/migrations-registry'
import { commandsIn, pageOf, pages, REPOSITORY } from '@switchback/test/support'
import { describe, expect, it, test } from 'vitest'
import { parse } from 'yaml'

const all = await pages()
const byFile = new Map(all.map((page) => [page.file, page]))
const isElsewhere = (link: string): boolean => /^[a-z][a-z+.-]*:/i.test(link)

/** What is wrong with a link of this page; undefined where nothing is. */
function problemOf(file: string, link: string): string | undefined {
  const [path = '', anchor] = link.split('#', 2)
  const target = path === '' ? file : normalize(join(dirname(file), decodeURIComponent(path)))
  if (!existsSync(join(REPOSITORY, target))) return `${file}: ${link} leads nowhere`
  if (anchor === undefined || byFile.get(target)?.anchors.has(anchor) !== false) return undefined
  return `${file}: ${link} names no heading of ${target}`
}

test('a page is read with its links, headings, code and commands', () => {
  const page = pageOf(
    'x.md',
    '# A *b*: c\n## Twice\n## Twice\n[one](a.md#b) ![two](c.png) `code` `[no](link.md)`\n```console\n$ switchback a "b c" # d\n> e\n```\n',
  )
  expect(page).toMatchObject({
    links: ['a.md#b', 'c.png'],
    codes: ['code', '[no](link.md)'],
    anchors: new Set(['a-b-c', 'twice', 'twice-1']),
  })
  expect(page.snippets.flatMap(({ text }) => commandsIn(text))).toEqual([['switchback', 'a', 'b c']])
  expect(all.length).toBeGreaterThan(80)
})

test('every link within the repository leads somewhere, and every anchor to a heading', () => {
  const links = all.flatMap(({ file, links }) =>
    links.filter((link) => !isElsewhere(link)).map((link) => [file, link] as const),
  )
  expect(links.length).toBeGreaterThan(50)
  expect(links.map(([file, link]) => problemOf(file, link)).filter((each) => each !== undefined)).toEqual([])
  expect(problemOf('README.md', 'docs/no-such-page.md')).toContain('leads nowhere')
  expect(problemOf('README.md', 'docs/alerts.md#no-such-heading')).toContain('names no heading')
})

const snippets = all.flatMap(({ file, snippets }) =>
  snippets.map(({ language, text }, i) => ({ name: `${file}, piece ${i + 1}`, language, text })),
)

describe('JSON', () => {
  it.each(snippets.filter(({ language }) => language === 'json'))('of $name can be read', ({ text }) => {
    expect(() => JSON.parse(text)).not.toThrow()
  })
})

const MOST = {
  id: 'documented',
  title: 'As the documentation says',
  copy: {
    from: 'users',
    to: 'profiles',
    key: { user_id: 'id' },
    columns: { bio: 'bio', score: 'score', seen_at: 'seen_at', settings: 'settings' },
  },
}

describe('YAML', () => {
  // What is not of a migration is of an alerting system.
  const known = Object.keys(definitionSchema.shape)
  const yaml = snippets
    .filter(({ language }) => language === 'yaml')
    .map((each) => ({ ...each, value: parse(each.text) as Record<string, unknown> }))
  const ofMigrations = yaml.filter(({ value }) => Object.keys(value).every((key) => known.includes(key)))

  it('is of migrations, but for the annotation that Prometheus is given', () => {
    expect(
      yaml.filter((each) => !ofMigrations.includes(each)).map(({ value }) => Object.keys(value)),
    ).toEqual([['annotations']])
  })

  it.each(ofMigrations)('of $name is what a migration may say', ({ value }) => {
    const copy = { ...MOST.copy, ...(value.copy as object | undefined) }
    const { error } = definitionSchema.safeParse({ ...MOST, ...value, copy })
    expect(error?.issues ?? []).toEqual([])
  })
})
