import type { Node } from 'libpg-query'
import { keyOf, keyOfNames, names } from '../ast.ts'
import { alterationsInUse, type Context, isNew, tableText } from '../context.ts'
import { lock } from '../finding.ts'
import type { Rule } from '../rule.ts'
import { ident } from '../text.ts'
import { droppedKeys } from '../world.ts'

// In contract and rollback dropping is the purpose: what may go there is judged by the definition.
const isExpand = (context: Context): boolean => context.part === 'expand'

const dropColumn: Rule = {
  id: 'drop-column',
  severity: 'error',
  title: 'A column in use is dropped.',
  why: 'Running instances still read or write it; their statements fail from then on, and the data is gone.',
  instead:
    'Stop using it first, in a migration of its own, and drop it in `contract.sql`, after the archive.',
  bad: 'alter table users drop column name;',
  peers: ['squawk: ban-drop-column', 'strong_migrations: removing a column'],
  check: (statement, context) =>
    isExpand(context)
      ? alterationsInUse(statement, context).flatMap(({ command, table, range, span }) =>
          command.subtype === 'AT_DropColumn' && !context.world.columns.has(`${keyOf(range)}.${command.name}`)
            ? [
                {
                  at: span.start,
                  to: span.end,
                  message: `Instances that run now may use ${table}.${ident(command.name ?? '')}; the contract is the place to drop it.`,
                  lock: lock('ACCESS EXCLUSIVE', table),
                },
              ]
            : [],
        )
      : [],
}

const dropTable: Rule = {
  id: 'drop-table',
  severity: 'error',
  title: 'A table in use is dropped.',
  why: 'Running instances fail from then on, and the data is gone.',
  instead: 'Move everybody off it first, and drop it in `contract.sql`, after the archive.',
  bad: 'drop table bookings;',
  peers: ['squawk: ban-drop-table'],
  check: ({ node }, context) => {
    if (!isExpand(context) || !('DropStmt' in node) || node.DropStmt.removeType !== 'OBJECT_TABLE') return []
    const inUse = droppedKeys(node).filter((key) => !context.world.tables.has(key))
    if (inUse.length === 0) return []
    return [
      {
        message: `Instances that run now may use ${inUse.join(', ')}; the contract is the place to drop it.`,
        lock: lock('ACCESS EXCLUSIVE', inUse.join(', ')),
      },
    ]
  },
}

const KINDS: Readonly<Record<string, string>> = {
  OBJECT_VIEW: 'view',
  OBJECT_MATVIEW: 'materialized view',
  OBJECT_SCHEMA: 'schema',
  OBJECT_SEQUENCE: 'sequence',
  OBJECT_TYPE: 'type',
  OBJECT_DOMAIN: 'domain',
  OBJECT_FUNCTION: 'function',
  OBJECT_PROCEDURE: 'procedure',
  OBJECT_EXTENSION: 'extension',
}

/** The kind of object that a DROP is about, where instances can speak of it. */
export const droppedKind = (node: Node): string | undefined =>
  'DropStmt' in node ? KINDS[node.DropStmt.removeType ?? ''] : undefined

const dropObject: Rule = {
  id: 'drop-object',
  severity: 'error',
  title: 'A view, type, function, sequence or schema in use is dropped.',
  why: 'Statements of running instances that name it fail from then on.',
  instead: 'Drop it in `contract.sql`, when nobody uses it any more.',
  bad: 'drop view active_users;',
  peers: [],
  check: ({ node }, context) => {
    const kind = droppedKind(node)
    if ('DropOwnedStmt' in node) {
      return [{ message: 'Everything that the role owns would be gone, whatever it is and whoever uses it.' }]
    }
    if (!isExpand(context) || kind === undefined) return []
    const inUse = droppedKeys(node).filter(
      (key) => !context.world.objects.has(key) && !context.world.tables.has(key),
    )
    if (inUse.length === 0) return []
    return [{ message: `Instances that run now may use the ${kind} ${inUse.join(', ')}.` }]
  },
}

const dropCascade: Rule = {
  id: 'drop-cascade',
  severity: 'error',
  title: 'CASCADE drops what the statement does not name.',
  why: 'Views, foreign keys and functions that depend on it go as well, on the day it is run: nobody has read their names here, nothing archives them, and they take locks of their own.',
  instead: 'Drop the dependents by name, before.',
  bad: 'alter table orders drop constraint orders_pkey cascade;',
  peers: ['squawk: ban-truncate-cascade'],
  check: (statement, context) => {
    const { node } = statement
    const message = 'CASCADE takes along whatever depends on it on that day, unnamed and not archived.'
    const at = statement.tokens.findLast(({ text }) => text.toLowerCase() === 'cascade')
    const place = at === undefined ? {} : { at: at.start, to: at.end }
    if ('DropStmt' in node && node.DropStmt.behavior === 'DROP_CASCADE') {
      if (droppedKeys(node).every((key) => context.world.tables.has(key))) return []
      return [{ ...place, message }]
    }
    return alterationsInUse(statement, context).some(
      ({ command: { subtype = '', behavior } }) =>
        behavior === 'DROP_CASCADE' && (subtype === 'AT_DropColumn' || subtype === 'AT_DropConstraint'),
    )
      ? [{ ...place, message }]
      : []
  },
}

const dropDatabase: Rule = {
  id: 'drop-database',
  severity: 'error',
  title: 'A database is dropped.',
  why: 'Nothing brings it back but a backup.',
  instead: 'No migration drops a database.',
  bad: 'drop database reports;',
  peers: ['squawk: ban-drop-database'],
  check: ({ node }) =>
    'DropdbStmt' in node
      ? [{ message: `The database ${node.DropdbStmt.dbname} and all in it would be gone.` }]
      : [],
}

const renameColumn: Rule = {
  id: 'rename-column',
  severity: 'error',
  title: 'A column in use is renamed.',
  why: 'Instances know one of the names: while both versions run, one of them fails.',
  instead:
    'Add a column of the new name and move to it: `copy` from the table to itself, old and new handlers, contract.',
  bad: 'alter table users rename column name to full_name;',
  good: 'alter table users add column full_name text;',
  peers: ['squawk: renaming-column', 'strong_migrations: renaming a column'],
  check: ({ node }, context) => {
    if (!('RenameStmt' in node)) return []
    const { renameType, relation, subname } = node.RenameStmt
    const column = renameType === 'OBJECT_COLUMN' || renameType === 'OBJECT_ATTRIBUTE'
    if (!column || isNew(context, relation) || context.world.columns.has(`${keyOf(relation)}.${subname}`))
      return []
    return [
      {
        message: `Instances that run now know ${tableText(relation)}.${ident(subname ?? '')} by this name alone.`,
        lock: lock('ACCESS EXCLUSIVE', tableText(relation)),
      },
    ]
  },
}

const renameTable: Rule = {
  id: 'rename-table',
  severity: 'error',
  title: 'A table or view in use is renamed, or moved to another schema.',
  why: 'Instances know one of the names: while both versions run, one of them fails.',
  instead: 'Create the table anew and move to it, or offer the new name as a view.',
  bad: 'alter table users rename to people;',
  good: 'create view people as select * from users;',
  peers: ['squawk: renaming-table', 'strong_migrations: renaming a table'],
  check: ({ node }, context) => {
    const relations = new Set(['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW'])
    const found =
      'RenameStmt' in node && relations.has(node.RenameStmt.renameType ?? '')
        ? node.RenameStmt.relation
        : 'AlterObjectSchemaStmt' in node && relations.has(node.AlterObjectSchemaStmt.objectType ?? '')
          ? node.AlterObjectSchemaStmt.relation
          : undefined
    if (found === undefined || isNew(context, found) || context.world.objects.has(keyOf(found))) return []
    return [
      {
        message: `Instances that run now know ${tableText(found)} by this name alone.`,
        lock: lock('ACCESS EXCLUSIVE', tableText(found)),
      },
    ]
  },
}

const renameSchema: Rule = {
  id: 'rename-schema',
  severity: 'error',
  title: 'A schema is renamed.',
  why: 'Everything in it has another name at once, for all running instances.',
  instead: 'Create a new schema and move the tables one by one.',
  bad: 'alter schema reporting rename to reports;',
  peers: ['strong_migrations: renaming a schema'],
  check: ({ node }, context) =>
    'RenameStmt' in node &&
    node.RenameStmt.renameType === 'OBJECT_SCHEMA' &&
    !context.world.objects.has(node.RenameStmt.subname ?? '')
      ? [{ message: `Instances that run now know everything in ${node.RenameStmt.subname} by its old name.` }]
      : [],
}

const renameEnumValue: Rule = {
  id: 'rename-enum-value',
  severity: 'error',
  title: 'A value of an enum is renamed.',
  why: 'Instances that write or compare the old value fail.',
  instead: 'Add the new value, write it beside the old one, and backfill the rows.',
  bad: "alter type order_status rename value 'open' to 'placed';",
  good: "alter type order_status add value 'placed';",
  peers: ['strong_migrations: renaming an enum value'],
  check: ({ node }, context) =>
    'AlterEnumStmt' in node &&
    node.AlterEnumStmt.oldVal !== undefined &&
    !context.world.objects.has(keyOfNames(names(node.AlterEnumStmt.typeName)))
      ? [{ message: `Instances that run now write and compare '${node.AlterEnumStmt.oldVal}'.` }]
      : [],
}

export const removalRules: readonly Rule[] = [
  dropColumn,
  dropTable,
  dropObject,
  dropCascade,
  dropDatabase,
  renameColumn,
  renameTable,
  renameSchema,
  renameEnumValue,
]
