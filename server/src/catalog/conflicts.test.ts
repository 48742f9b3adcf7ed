import { definitionSchema } from '@switchback/migrations-registry'
import { expect, test } from 'vitest'
import { claimsOf, conflictBetween } from './conflicts.ts'

const migration = (id: string, expand: string, more: object = {}, contract?: string) => ({
  definition: definitionSchema.parse({ id, title: 'x', ...more }),
  sql: { expand, ...(contract === undefined ? {} : { contract }) },
})
const copy = (from: string, to: string, columns: Record<string, string>) => ({
  copy: { from, to, key: { id: 'id' }, columns },
})

test.each([
  ['alter table users add a int', 'alter table users add b int', undefined],
  ['alter table users add a int', 'alter table orders add a int', undefined],
  ['create index i on users (a)', 'create index j on users (a)', undefined],
  [
    'alter table users add a int',
    'alter table users add a text',
    'one makes column users.a, which two makes',
  ],
  ['drop table users', 'alter table public.users add a int', 'one drops table users, which two makes'],
  [
    'alter table users add a int',
    'alter table users rename to people',
    'one makes column users.a, which two drops',
  ],
  [
    'alter table users rename a to b',
    'alter table users alter a set not null',
    'one drops column users.a, which two changes',
  ],
  ['create table t ()', 'create table t ()', 'one makes table t, which two makes'],
  [
    'alter table t add constraint c check (true)',
    'alter table t drop constraint c',
    'one makes constraint c of t, which two drops',
  ],
])('%s beside %s: %s', async (one, two, expected) => {
  const names = { own: 'one', other: 'two' }
  const claims = [await claimsOf(migration('one', one)), await claimsOf(migration('two', two))] as const
  expect(conflictBetween(claims[0], claims[1], names)).toBe(expected)
  expect(conflictBetween(claims[1], claims[0], names) === undefined).toBe(expected === undefined)
})

test('what one copies the other may copy too, but not drop', async () => {
  const bios = migration(
    'bios',
    'create table bios (id int, bio text)',
    copy('users', 'bios', { bio: 'bio' }),
    'alter table users drop column bio',
  )
  const names = migration(
    'names',
    'create table names (id int, name text)',
    copy('users', 'names', { name: 'name' }),
  )
  const both = migration('both', 'create table both (id int)', copy('users', 'both', { text: `name || bio` }))
  const between = async (one: typeof bios, two: typeof bios) =>
    conflictBetween(await claimsOf(one), await claimsOf(two), {
      own: one.definition.id,
      other: two.definition.id,
    })
  expect(await between(bios, names)).toBeUndefined()
  expect(await between(names, both)).toBeUndefined()
  expect(await between(bios, both)).toBe('bios drops column users.bio, which both copies from')
})
