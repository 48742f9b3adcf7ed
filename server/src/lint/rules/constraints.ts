import type { Constraint } from 'libpg-query'
import { columnDefIn, constraintIn, find, hasDefault, keyOf, keyOfNames, names } from '../ast.ts'
import { alterationsInUse, type Context, isNew, tableText } from '../context.ts'
import { lock } from '../finding.ts'
import type { Rule } from '../rule.ts'
import { saferAlter } from '../safe-alter.ts'
import type { Statement } from '../script.ts'
import { dotted, edited, ident, newName, script } from '../text.ts'

interface AddedConstraint {
  readonly constraint: Constraint
  readonly table: string
  readonly at: number
}

/** Constraints of one kind that a table in use gets at once, as its own or with a column. */
function addedAtOnce(
  statement: Statement,
  context: Context,
  contype: NonNullable<Constraint['contype']>,
): readonly AddedConstraint[] {
  return alterationsInUse(statement, context).flatMap(({ command, table, span }) => {
    const column = columnDefIn(command.def)
    const own = constraintIn(command.def)
    if (command.subtype === 'AT_AddConstraint' && own?.contype === contype) {
      return own.skip_validation === true || own.indexname !== undefined
        ? []
        : [{ constraint: own, table, at: own.location ?? span.start }]
    }
    const inline =
      command.subtype === 'AT_AddColumn' && column !== undefined ? find(column, contype) : undefined
    // Rows that are there get a null in a column without default, and a null refers to nothing.
    if (
      inline === undefined ||
      (contype === 'CONSTR_FOREIGN' && column !== undefined && !hasDefault(column))
    ) {
      return []
    }
    return [{ constraint: inline, table, at: inline.location ?? span.start }]
  })
}

const addForeignKey: Rule = {
  id: 'add-foreign-key',
  severity: 'error',
  title: 'A foreign key is added and checked at once.',
  why: 'Every row is looked up in the other table while SHARE ROW EXCLUSIVE on both tables keeps all writes out.',
  instead:
    'Add it NOT VALID (it holds for new rows at once), then validate it: that takes locks which hold up nobody.',
  bad: `create index concurrently orders_user_id_idx on orders (user_id);
alter table orders add constraint orders_user_id_fkey foreign key (user_id) references users (id);`,
  good: `create index concurrently orders_user_id_idx on orders (user_id);
alter table orders add constraint orders_user_id_fkey foreign key (user_id) references users (id) not valid;
alter table orders validate constraint orders_user_id_fkey;`,
  peers: [
    'squawk: adding-foreign-key-constraint',
    'squawk: constraint-missing-not-valid',
    'strong_migrations: adding a foreign key',
  ],
  check: (statement, context) =>
    addedAtOnce(statement, context, 'CONSTR_FOREIGN').map(({ constraint, table, at }) => ({
      at,
      message: `Every row of ${table} is looked up in ${tableText(constraint.pktable)} while neither can be written.`,
      lock: lock('SHARE ROW EXCLUSIVE', `${table} and ${tableText(constraint.pktable)}`),
      fix: saferAlter(statement, context),
    })),
}

const addCheck: Rule = {
  id: 'add-check',
  severity: 'error',
  title: 'A check is added and proved at once.',
  why: 'Every row is read while ACCESS EXCLUSIVE keeps everybody out.',
  instead: 'Add it NOT VALID, then validate it while everybody works on.',
  bad: 'alter table orders add constraint orders_total_check check (total >= 0);',
  good: `alter table orders add constraint orders_total_check check (total >= 0) not valid;
alter table orders validate constraint orders_total_check;`,
  peers: ['squawk: constraint-missing-not-valid', 'strong_migrations: adding a check constraint'],
  check: (statement, context) =>
    addedAtOnce(statement, context, 'CONSTR_CHECK').map(({ table, at }) => ({
      at,
      message: `Every row of ${table} is read to prove the check while the table is locked.`,
      lock: lock('ACCESS EXCLUSIVE', table),
      fix: saferAlter(statement, context),
    })),
}

const addUniqueConstraint: Rule = {
  id: 'add-unique-constraint',
  severity: 'error',
  title: 'A unique constraint builds its index while the table is locked.',
  why: 'The index is built under ACCESS EXCLUSIVE: nobody reads or writes until it is done.',
  instead: 'Build a unique index CONCURRENTLY, then make it the constraint, which takes a moment.',
  bad: 'alter table users add constraint users_email_key unique (email);',
  good: `create unique index concurrently users_email_key on users (email);
alter table users add constraint users_email_key unique using index users_email_key;`,
  peers: ['squawk: disallowed-unique-constraint', 'strong_migrations: adding a unique constraint'],
  check: (statement, context) =>
    addedAtOnce(statement, context, 'CONSTR_UNIQUE').map(({ table, at }) => ({
      at,
      message: `The index of the constraint is built while ${table} is locked.`,
      lock: lock('ACCESS EXCLUSIVE', table),
      fix: saferAlter(statement, context),
    })),
}

const addPrimaryKey: Rule = {
  id: 'add-primary-key',
  severity: 'error',
  title: 'A primary key builds its index while the table is locked.',
  why: 'The index is built, and every row read for nulls, under ACCESS EXCLUSIVE.',
  instead: 'Prove the columns NOT NULL first, build a unique index CONCURRENTLY, then make it the key.',
  bad: 'alter table events add primary key (id);',
  good: `alter table events add constraint events_id_not_null check (id is not null) not valid;
alter table events validate constraint events_id_not_null;
alter table events alter column id set not null;
alter table events drop constraint events_id_not_null;
create unique index concurrently events_pkey on events (id);
alter table events add constraint events_pkey primary key using index events_pkey;`,
  peers: ['squawk: adding-serial-primary-key-field'],
  check: (statement, context) =>
    addedAtOnce(statement, context, 'CONSTR_PRIMARY').map(({ table, at }) => ({
      at,
      message: `The index of the key is built, and every row read for nulls, while ${table} is locked.`,
      lock: lock('ACCESS EXCLUSIVE', table),
      fix: saferAlter(statement, context),
    })),
}

const addExclusionConstraint: Rule = {
  id: 'add-exclusion-constraint',
  severity: 'error',
  title: 'An exclusion constraint is added to a table in use.',
  why: 'Its index is built under ACCESS EXCLUSIVE, every row compared with the others, and there is no way to do so concurrently.',
  instead: 'Create a new table that has the constraint from the start, and move to it.',
  bad: 'alter table bookings add constraint bookings_during_excl exclude using gist (during with &&);',
  peers: ['strong_migrations: adding an exclusion constraint'],
  check: (statement, context) =>
    addedAtOnce(statement, context, 'CONSTR_EXCLUSION').map(({ table, at }) => ({
      at,
      message: `The index of the constraint is built while ${table} is locked; there is no concurrent way.`,
      lock: lock('ACCESS EXCLUSIVE', table),
    })),
}

const domainConstraint: Rule = {
  id: 'domain-constraint',
  severity: 'error',
  title: 'A constraint is added to a domain and proved at once.',
  why: 'Every table with a column of the domain is locked in SHARE and read: writes wait everywhere at once.',
  instead: 'Add it NOT VALID, then validate it.',
  bad: "alter domain email add constraint email_check check (value like '%@%');",
  good: `alter domain email add constraint email_check check (value like '%@%') not valid;
alter domain email validate constraint email_check;`,
  peers: ['squawk: ban-alter-domain-with-add-constraint'],
  check: (statement, context) => {
    const { node } = statement
    if (!('AlterDomainStmt' in node) || node.AlterDomainStmt.subtype !== 'C') return []
    const constraint = constraintIn(node.AlterDomainStmt.def)
    const domain = keyOfNames(names(node.AlterDomainStmt.typeName))
    if (constraint?.skip_validation === true || context.world.objects.has(domain)) return []
    const name = constraint?.conname ?? newName(domain.split('.').at(-1) ?? '', 'check')
    const start = constraint?.location ?? statement.start
    const named = constraint?.conname === undefined ? `CONSTRAINT ${ident(name)} ` : ''
    const fix = script([
      edited(statement, [
        { start, end: start, text: named },
        { start: statement.end, end: statement.end, text: ' NOT VALID' },
      ]),
      `ALTER DOMAIN ${dotted(domain)} VALIDATE CONSTRAINT ${ident(name)}`,
    ])
    return [
      {
        at: start,
        message: `Every table with a column of the domain ${domain} is locked and read.`,
        lock: lock('SHARE', `every table that uses ${domain}`),
        // Only a check can wait for its proof.
        fix: constraint?.contype === 'CONSTR_CHECK' ? fix : undefined,
      },
    ]
  },
}

const createDomainConstraint: Rule = {
  id: 'create-domain-constraint',
  severity: 'warning',
  title: 'A domain is created with a constraint.',
  why: 'To change it later reads and locks every table with a column of the domain; a column of such a domain cannot be added without a rewrite.',
  instead: 'Use the type itself, and a CHECK on each table.',
  bad: "create domain contact as text check (value like '%@%');",
  good: 'create domain contact as text;',
  peers: ['squawk: ban-create-domain-with-constraint'],
  check: ({ node }) => {
    if (!('CreateDomainStmt' in node)) return []
    const constraint = (node.CreateDomainStmt.constraints ?? [])
      .map(constraintIn)
      .find((found) => found?.contype === 'CONSTR_CHECK' || found?.contype === 'CONSTR_NOTNULL')
    if (constraint === undefined) return []
    return [
      {
        ...(constraint.location === undefined ? {} : { at: constraint.location }),
        message:
          'A constraint of a domain holds for every table that uses it, and can only be changed in all of them at once.',
      },
    ]
  },
}

const validateInTransaction: Rule = {
  id: 'validate-in-transaction',
  severity: 'error',
  title: 'A constraint is validated in the transaction that adds it.',
  why: 'The lock taken to add it is held until the commit, so that the table is read while it is locked: NOT VALID was in vain.',
  instead: 'Take BEGIN and COMMIT out: every statement runs in a transaction of its own.',
  bad: `begin;
alter table orders add constraint orders_total_check check (total >= 0) not valid;
alter table orders validate constraint orders_total_check;
commit;`,
  good: `alter table orders add constraint orders_total_check check (total >= 0) not valid;
alter table orders validate constraint orders_total_check;`,
  peers: [
    'squawk: constraint-missing-not-valid',
    'strong_migrations: validating in the transaction that adds',
  ],
  check: (statement, context) =>
    alterationsInUse(statement, context).flatMap(({ command, table, range, span }) =>
      command.subtype === 'AT_ValidateConstraint' &&
      context.transaction?.added.has(`${keyOf(range)}.${command.name}`) === true &&
      !isNew(context, range)
        ? [
            {
              at: span.start,
              to: span.end,
              message: `"${command.name}" was added in this transaction, whose lock on ${table} is still held while every row is read.`,
              lock: lock('ACCESS EXCLUSIVE', table),
            },
          ]
        : [],
    ),
}

export const constraintRules: readonly Rule[] = [
  addForeignKey,
  addCheck,
  addUniqueConstraint,
  addPrimaryKey,
  addExclusionConstraint,
  domainConstraint,
  createDomainConstraint,
  validateInTransaction,
]
