import type { Rule } from '../rule.ts'
import { columnRules } from './columns.ts'
import { constraintRules } from './constraints.ts'
import { definitionRules } from './definition.ts'
import { foreignKeyRules } from './foreign-keys.ts'
import { indexRules } from './indexes.ts'
import { partitionRules } from './partitions.ts'
import { removalRules } from './removals.ts'
import { tableRules } from './tables.ts'
import { transactionRules } from './transactions.ts'
import { typeRules } from './types.ts'
import { waiverRules } from './waivers.ts'

/** Every rule, by what it is about. */
export const RULES: readonly Rule[] = [
  ...columnRules,
  ...constraintRules,
  ...foreignKeyRules,
  ...indexRules,
  ...tableRules,
  ...partitionRules,
  ...removalRules,
  ...typeRules,
  ...transactionRules,
  ...definitionRules,
  ...waiverRules,
]

const byId = new Map(RULES.map((rule) => [rule.id, rule]))

export const ruleOf = (id: string): Rule | undefined => byId.get(id)
