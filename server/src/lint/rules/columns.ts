import { columnDefIn, constraintIn, find, hasDefault, isSerial, keyOf } from '../ast.ts'
import { alterationsInUse, type Context, definedColumns, tableText } from '../context.ts'
import { type Draft, lock } from '../finding.ts'
import type { Rule } from '../rule.ts'
import { saferAlter } from '../safe-alter.ts'
import { rewritingDefault } from '../safe-column.ts'
import { isIdentity, isNumbered } from '../safe-types.ts'
import type { Statement } from '../script.ts'
import { ident } from '../text.ts'
import { volatileCall } from '../volatility.ts'

/** Columns that are added to tables in use. */
const added = (statement: Statement, context: Context) =>
  'AlterTableStmt' in statement.node
    ? definedColumns(statement.node, context).filter(({ inUse }) => inUse)
    : []

const addColumnDefault: Rule = {
  id: 'add-column-default',
  severity: 'error',
  title: 'A column is added with a default that makes PostgreSQL rewrite the table.',
  why: 'A default that may differ from row to row (and before PostgreSQL 11 any default) is written into every row at once, under ACCESS EXCLUSIVE: nobody reads or writes until the whole table has been copied.',
  instead:
    'Add the column without the default and set the default in the same statement, for new rows alone. Rows that are there are filled by the backfill.',
  bad: 'alter table users add column token uuid default gen_random_uuid();',
  good: 'alter table users add column token uuid, alter column token set default gen_random_uuid();',
  peers: ['squawk: adding-field-with-default', 'strong_migrations: adding a column with a volatile default'],
  check: (statement, context) =>
    added(statement, context).flatMap(({ column, range }) => {
      const found = rewritingDefault(column, context)
      if (found === undefined || range === undefined) return []
      const call = volatileCall(found.raw_expr, context.world.steadyFunctions)
      const why =
        call === undefined
          ? `before PostgreSQL 11 every default does, and ${context.version} was asked for`
          : `${call.name}() may yield another value for every row`
      return [
        {
          at: call?.at ?? found.location ?? statement.start,
          message: `The default of "${column.colname}" rewrites ${tableText(range)}: ${why}.`,
          lock: lock('ACCESS EXCLUSIVE', tableText(range)),
          fix: saferAlter(statement, context),
        },
      ]
    }),
}

const addNotNullColumn: Rule = {
  id: 'add-not-null-column',
  severity: 'error',
  title: 'A column is added as NOT NULL without a default.',
  why: 'It fails where the table has rows, and instances that do not know the column yet can insert none.',
  instead:
    'Add it without NOT NULL, or with a constant default. What has to hold in the end belongs into the contract.',
  bad: 'alter table users add column region text not null;',
  good: 'alter table users add column region text;',
  peers: ['squawk: adding-not-nullable-field', 'squawk: adding-required-field'],
  check: (statement, context) =>
    added(statement, context).flatMap(({ column, range }) => {
      const found = find(column, 'CONSTR_NOTNULL')
      if (found === undefined || hasDefault(column) || isNumbered(column)) return []
      if (find(column, 'CONSTR_GENERATED') !== undefined) return []
      return [
        {
          at: found.location ?? statement.start,
          message: `"${column.colname}" is NOT NULL without a default: it cannot be added to rows that are there, and instances that do not write it yet fail to insert into ${tableText(range)}.`,
          lock: lock('ACCESS EXCLUSIVE', tableText(range)),
          fix: saferAlter(statement, context),
        },
      ]
    }),
}

const addSerialColumn: Rule = {
  id: 'add-serial-column',
  severity: 'error',
  title: 'A numbered column (serial or identity) is added to a table in use.',
  why: 'Every row gets its number at once: the table is rewritten under ACCESS EXCLUSIVE.',
  instead:
    'Add a plain bigint, give it a sequence as its default, and number the rows that are there by the backfill.',
  bad: 'alter table users add column number bigserial;',
  good: `create sequence users_number_seq;
alter table users add column number bigint, alter column number set default nextval('users_number_seq');`,
  peers: ['squawk: adding-serial-primary-key-field', 'strong_migrations: adding an auto-incrementing column'],
  check: (statement, context) =>
    added(statement, context).flatMap(({ column, range }) => {
      if (!isNumbered(column)) return []
      const at = isIdentity(column) ? find(column, 'CONSTR_IDENTITY')?.location : column.typeName?.location
      return [
        {
          at: at ?? statement.start,
          message: `${isSerial(column.typeName) ? 'A serial' : 'An identity'} column numbers every row that is there: ${tableText(range)} is rewritten.`,
          lock: lock('ACCESS EXCLUSIVE', tableText(range)),
          fix: saferAlter(statement, context),
        },
      ]
    }),
}

const addGeneratedColumn: Rule = {
  id: 'add-generated-column',
  severity: 'error',
  title: 'A stored generated column is added to a table in use.',
  why: 'Its value is computed and written for every row at once: the table is rewritten under ACCESS EXCLUSIVE.',
  instead:
    'From PostgreSQL 18 make it VIRTUAL; before, add a plain column that the dual write (or a trigger) keeps and the backfill fills.',
  bad: 'alter table users add column email_lower text generated always as (lower(email)) stored;',
  good: 'alter table users add column email_lower text;',
  peers: ['squawk: adding-field-with-default', 'strong_migrations: adding a stored generated column'],
  check: (statement, context) =>
    added(statement, context).flatMap(({ column, range }) => {
      const found = find(column, 'CONSTR_GENERATED')
      if (found === undefined || found.generated_kind === 'v') return []
      return [
        {
          at: found.location ?? statement.start,
          message: `"${column.colname}" is computed for every row that is there: ${tableText(range)} is rewritten.`,
          lock: lock('ACCESS EXCLUSIVE', tableText(range)),
          fix: saferAlter(statement, context),
        },
      ]
    }),
}

const setNotNull: Rule = {
  id: 'set-not-null',
  severity: 'error',
  title: 'A column is set NOT NULL without a proof that it holds no nulls.',
  why: 'PostgreSQL reads the whole table to prove it, under ACCESS EXCLUSIVE. From version 12 a valid CHECK (column IS NOT NULL) is proof enough, and from 18 NOT NULL itself can be added NOT VALID.',
  instead: 'Add the proof NOT VALID, validate it while everybody works on, then set NOT NULL.',
  bad: 'alter table users alter column email set not null;',
  good: `alter table users add constraint users_email_not_null check (email is not null) not valid;
alter table users validate constraint users_email_not_null;
alter table users alter column email set not null;
alter table users drop constraint users_email_not_null;`,
  peers: ['squawk: adding-not-nullable-field', 'strong_migrations: setting NOT NULL on an existing column'],
  check: (statement, context) =>
    alterationsInUse(statement, context).flatMap(({ command, table, range, span }) => {
      const { subtype, name = '', def } = command
      const constraint = constraintIn(def)
      const named = constraint?.contype === 'CONSTR_NOTNULL' && constraint.skip_validation !== true
      if (subtype !== 'AT_SetNotNull' && !named) return []
      if (context.version >= 12 && context.world.notNull.has(`${keyOf(range)}.${name}`)) return []
      return [
        {
          at: span.start,
          to: span.end,
          message: `Proving that the column holds no nulls reads all of ${table} while it is locked.`,
          lock: lock('ACCESS EXCLUSIVE', table),
          fix: saferAlter(statement, context),
        },
      ]
    }),
}

const dropNotNull: Rule = {
  id: 'drop-not-null',
  severity: 'warning',
  title: 'A column loses its NOT NULL.',
  why: 'Running instances read it as if it were always there; the first null may break them. And NOT NULL cannot come back as long as there are nulls.',
  instead: 'Make sure that every reader copes with nulls first, then say so in a waiver.',
  bad: 'alter table users alter column name drop not null;',
  peers: ['squawk: ban-drop-not-null'],
  check: (statement, context) =>
    context.part === 'rollback'
      ? []
      : alterationsInUse(statement, context).flatMap(({ command, table, span }) =>
          command.subtype === 'AT_DropNotNull'
            ? [
                {
                  at: span.start,
                  to: span.end,
                  message: `Instances that read ${table}.${ident(command.name ?? '')} may not cope with a null.`,
                  lock: lock('ACCESS EXCLUSIVE', table),
                },
              ]
            : [],
        ),
}

const changeColumnType: Rule = {
  id: 'change-column-type',
  severity: 'error',
  title: 'The type of a column in use is changed.',
  why: 'Most changes rewrite the table and its indexes under ACCESS EXCLUSIVE, and running instances meet a type they do not know.',
  instead:
    'Add a column of the new type and move to it: `copy` from the table to itself, old and new handlers, contract.',
  bad: 'alter table orders alter column id type bigint;',
  good: 'alter table orders add column id_new bigint;',
  peers: ['squawk: changing-column-type', 'strong_migrations: changing the type of a column'],
  check: (statement, context) =>
    alterationsInUse(statement, context).flatMap(({ command, table, span }): readonly Draft[] =>
      command.subtype === 'AT_AlterColumnType' && columnDefIn(command.def) !== undefined
        ? [
            {
              at: span.start,
              to: span.end,
              message: `Changing the type of ${table}.${ident(command.name ?? '')} may rewrite the table, and instances in between meet both types.`,
              lock: lock('ACCESS EXCLUSIVE', table),
              fix: saferAlter(statement, context),
            },
          ]
        : [],
    ),
}

export const columnRules: readonly Rule[] = [
  addColumnDefault,
  addNotNullColumn,
  addSerialColumn,
  addGeneratedColumn,
  setNotNull,
  dropNotNull,
  changeColumnType,
]
