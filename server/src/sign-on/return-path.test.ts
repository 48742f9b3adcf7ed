import { expect, test } from 'vitest'
import { returnPath } from './return-path.ts'

test.each(['/', '/fleet', '/migrations/user-profiles/health?share=10%25#plot', '/incidents?status=open'])(
  'a page of the console is returned to: %s',
  (path) => {
    expect(returnPath(path)).toBe(path)
  },
)

test.each([
  'https://evil.example/',
  '//evil.example',
  '//evil.example/fleet',
  '/\\evil.example/fleet',
  '///evil.example',
  '/\\evil.example',
  '\\/evil.example',
  '/\t/evil.example',
  '/\n//evil.example',
  '/.//evil.example',
  '/fleet/..//evil.example',
  '/%2e//evil.example',
  'javascript:alert(1)',
  'fleet',
  '',
  '/v1/sign-on/start',
  '/fleet/../v1/sign-on/start',
  '/metrics',
  `/${'x'.repeat(2_000)}`,
  ['/a', '//evil.example'],
  { toString: () => '/fleet' },
  undefined,
])('nothing else is: %j', (path) => {
  expect(returnPath(path)).toBe('/')
})
