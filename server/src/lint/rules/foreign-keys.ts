import type { Node } from 'libpg-query'
import { columnDefIn, constraintIn, constraintsOf, keyOf, names } from '../ast.ts'
import { type Context, tableText } from '../context.ts'
import type { Draft } from '../finding.ts'
import { createsIndex, ownIndex } from '../known-indexes.ts'
import type { Rule } from '../rule.ts'
import { saferAlter } from '../safe-alter.ts'
import { indexFor } from '../safe-constraint.ts'
import { saferCreate } from '../safer-create.ts'
import type { Statement } from '../script.ts'
import { ident } from '../text.ts'

interface ForeignKey {
  readonly columns: readonly string[]
  readonly at: number
}

function foreignKeysOf(node: Node, statement: Statement, context: Context): readonly ForeignKey[] {
  const of = (def: Node | undefined): readonly ForeignKey[] => {
    const column = columnDefIn(def)
    const own = constraintIn(def)
    if (own?.contype === 'CONSTR_FOREIGN') {
      return [{ columns: names(own.fk_attrs), at: own.location ?? statement.start }]
    }
    return (column === undefined ? [] : constraintsOf(column)).flatMap(({ contype, location }) =>
      contype === 'CONSTR_FOREIGN'
        ? [{ columns: [column?.colname ?? ''], at: location ?? statement.start }]
        : [],
    )
  }
  if ('CreateStmt' in node) return (node.CreateStmt.tableElts ?? []).flatMap(of)
  if (!('AlterTableStmt' in node)) return []
  const commands = (node.AlterTableStmt.cmds ?? []).flatMap((cmd) =>
    'AlterTableCmd' in cmd ? [cmd.AlterTableCmd] : [],
  )
  // The alter may itself bring the index, by a key over the same columns.
  return commands.flatMap(({ def }) => of(def)).filter(() => context.part !== 'rollback')
}

const foreignKeyWithoutIndex: Rule = {
  id: 'foreign-key-without-index',
  severity: 'warning',
  title: 'The columns of a foreign key have no index that this file knows of.',
  why: 'Every delete or change of key in the table referred to reads the whole referring table, holding its row locks meanwhile.',
  instead:
    'Create an index that begins with the columns, before the key. Where there is one already, say so in a waiver.',
  bad: 'alter table orders add constraint orders_user_id_fkey foreign key (user_id) references users (id) not valid;',
  good: `create index concurrently orders_user_id_idx on orders (user_id);
alter table orders add constraint orders_user_id_fkey foreign key (user_id) references users (id) not valid;`,
  peers: ['eugene: foreign key without index'],
  check: (statement, context) => {
    const { node } = statement
    const range =
      'CreateStmt' in node
        ? node.CreateStmt.relation
        : 'AlterTableStmt' in node
          ? node.AlterTableStmt.relation
          : undefined
    const later = (): readonly Statement[] => context.statements.slice(statement.index + 1)
    return foreignKeysOf(node, statement, context).flatMap(({ columns, at }): readonly Draft[] => {
      if (range === undefined || indexFor(range, columns, context).length === 0) return []
      if (ownIndex(node, columns) || later().some((next) => createsIndex(next.node, keyOf(range), columns)))
        return []
      return [
        {
          at,
          message: `No index on ${tableText(range)} (${columns.map(ident).join(', ')}): deletes in the table referred to read all of it.`,
          fix: 'CreateStmt' in node ? saferCreate(statement, context) : saferAlter(statement, context),
        },
      ]
    })
  },
}

export const foreignKeyRules: readonly Rule[] = [foreignKeyWithoutIndex]
