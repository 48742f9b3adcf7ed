import { alterationsInUse, isNew, tableText } from '../context.ts'
import { lock } from '../finding.ts'
import type { Rule } from '../rule.ts'
import { saferAlter } from '../safe-alter.ts'
import type { Statement } from '../script.ts'
import { script } from '../text.ts'
import { rangesIn } from './tables.ts'

const attachPartition: Rule = {
  id: 'attach-partition',
  severity: 'warning',
  title: 'A table with rows becomes a partition.',
  why: 'Unless a valid check proves that its rows belong there, all of it is read under ACCESS EXCLUSIVE on the partition; so is the default partition.',
  instead:
    'Add a check with the bounds of the partition NOT VALID, validate it, attach, drop the check. Then say so in a waiver.',
  bad: "alter table events_by_day attach partition events_today for values from ('2026-01-01') to ('2026-01-02');",
  peers: [],
  check: (statement, context) =>
    // Attaching takes no strong lock on the parent, hence its age does not matter, that of the partition does.
    alterationsInUse(statement, context).flatMap(({ command: { subtype, def }, span }) => {
      const partition = def !== undefined && 'PartitionCmd' in def ? def.PartitionCmd.name : undefined
      if (subtype !== 'AT_AttachPartition' || isNew(context, partition)) return []
      return [
        {
          at: span.start,
          to: span.end,
          message: `Unless a valid check proves its bounds, ${tableText(partition)} is read while it is locked.`,
          lock: lock('ACCESS EXCLUSIVE', tableText(partition)),
        },
      ]
    }),
}

const detachPartition: Rule = {
  id: 'detach-partition',
  severity: 'error',
  title: 'A partition is detached without CONCURRENTLY.',
  why: 'ACCESS EXCLUSIVE on the partitioned table: it waits for every query of any partition, and everybody waits behind it.',
  instead: 'From PostgreSQL 14, DETACH PARTITION … CONCURRENTLY.',
  bad: 'alter table measurements detach partition measurements_2025;',
  good: 'alter table measurements detach partition measurements_2025 concurrently;',
  peers: ['squawk: require-concurrent-partition-detach'],
  check: (statement, context) =>
    alterationsInUse(statement, context).flatMap(({ command: { subtype, def }, table, span }) => {
      if (subtype !== 'AT_DetachPartition' || def === undefined || !('PartitionCmd' in def)) return []
      if (def.PartitionCmd.concurrent === true) return []
      return [
        {
          at: span.start,
          to: span.end,
          message: `All queries of ${table} wait, not only those of the partition.`,
          lock: lock('ACCESS EXCLUSIVE', table),
          fix: context.version >= 14 ? saferAlter(statement, context) : undefined,
        },
      ]
    }),
}

const createPartition: Rule = {
  id: 'create-partition',
  severity: 'warning',
  title: 'A partition is created as part of a table in use.',
  why: 'CREATE TABLE … PARTITION OF takes ACCESS EXCLUSIVE on the partitioned table; attaching a table takes SHARE UPDATE EXCLUSIVE, which holds up no query.',
  instead: 'Create the table LIKE its parent, then attach it.',
  bad: "create table measurements_2027 partition of measurements for values from ('2027-01-01') to ('2028-01-01');",
  good: `create table measurements_2027 (like measurements including all);
alter table measurements attach partition measurements_2027 for values from ('2027-01-01') to ('2028-01-01');`,
  peers: [],
  check: (statement, context) => {
    const { node } = statement
    if (!('CreateStmt' in node) || node.CreateStmt.partbound === undefined) return []
    const parent = rangesIn(node.CreateStmt.inhRelations)[0]
    if (parent === undefined || isNew(context, parent)) return []
    const table = tableText(parent)
    return [
      {
        message: `All queries of ${table} wait behind the lock on it.`,
        lock: lock('ACCESS EXCLUSIVE', table),
        fix: attachInstead(statement, table),
      },
    ]
  },
}

function attachInstead(statement: Statement, parent: string): string | undefined {
  const { node } = statement
  if (!('CreateStmt' in node) || (node.CreateStmt.tableElts ?? []).length > 0) return undefined
  if (node.CreateStmt.partspec !== undefined) return undefined
  const words = statement.tokens.map(({ text }) => text.toLowerCase())
  const bound = statement.tokens[words.findIndex((word) => word === 'for' || word === 'default')]
  if (bound === undefined) return undefined
  const table = tableText(node.CreateStmt.relation)
  const exists = node.CreateStmt.if_not_exists === true ? 'IF NOT EXISTS ' : ''
  return script([
    `CREATE TABLE ${exists}${table} (LIKE ${parent} INCLUDING ALL)`,
    `ALTER TABLE ${parent} ATTACH PARTITION ${table} ${statement.source.slice(bound.start, statement.end)}`,
  ])
}

export const partitionRules: readonly Rule[] = [attachPartition, detachPartition, createPartition]
