import type { Rule } from '../rule.ts'

// Found where waivers are read, and not at a statement.
const check = (): readonly [] => []

export const waiverRules: readonly Rule[] = [
  {
    id: 'waiver-without-reason',
    severity: 'error',
    title: 'A waiver says no reason.',
    why: 'Whoever reads it next year cannot tell whether it still holds. It waives nothing.',
    instead: 'Write `-- switchback:allow <rule> because <reason>` on a line before the statement.',
    bad: `-- switchback:allow drop-not-null
alter table users alter column name drop not null;`,
    good: `-- switchback:allow drop-not-null because all readers treat a missing name as empty since 2.4
alter table users alter column name drop not null;`,
    peers: [],
    check,
  },
  {
    id: 'unused-waiver',
    severity: 'warning',
    title: 'A waiver waives nothing.',
    why: 'It would silently allow what somebody writes below it later.',
    instead: 'Take it out, or put it on a line before the statement that it is about.',
    bad: `-- switchback:allow create-index because the table is small
create index concurrently orders_user_id_idx on orders (user_id);`,
    good: 'create index concurrently orders_user_id_idx on orders (user_id);',
    peers: ['squawk: unused-ignore'],
    check,
  },
]
