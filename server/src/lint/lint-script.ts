import { alteredTable, commandsOf, constraintIn, keyOf } from './ast.ts'
import type { Context, OpenTransaction, Part } from './context.ts'
import type { DefinitionUse } from './definition-use.ts'
import { type Draft, docsOf, type Finding } from './finding.ts'
import type { Rule } from './rule.ts'
import { RULES, ruleOf } from './rules/rules.ts'
import { exclusivelyLocked } from './rules/tables.ts'
import type { Script, Statement } from './script.ts'
import type { Source } from './source.ts'
import { waiversOf } from './waivers.ts'
import { createWorld, type World } from './world.ts'

export interface LintOptions {
  /** Major version of the target. */
  readonly version: number
  readonly part: Part
  readonly use?: DefinitionUse
  /** What the expand made, for rollback and contract. */
  readonly made?: World
  readonly hasRollback?: boolean
}

// Said by a rule that knows the definition, it need not be said again by one that does not.
const PRECISE = new Set(['still-in-use', 'contract-out-of-scope', 'rollback-out-of-scope'])
const GENERAL = new Set([
  'drop-column',
  'drop-table',
  'drop-object',
  'rename-column',
  'rename-table',
  'truncate',
])

interface Found {
  readonly rule: Rule
  readonly draft: Draft
  readonly statement: Statement
}

/** What a script makes, statement by statement. */
export function worldOf(script: Script): World {
  const world = createWorld()
  for (const { node } of script.statements) world.learn(node)
  return world
}

/** Judges every statement of a script, in the order in which they would run. Pure but for the parser. */
export function lintScript(script: Script, options: LintOptions, expand?: Script): readonly Finding[] {
  const world = createWorld()
  if (options.part === 'rollback') for (const { node } of expand?.statements ?? []) world.learn(node)
  const made = options.part === 'expand' ? worldOf(script) : (options.made ?? createWorld())
  const found: Found[] = []
  let transaction: OpenTransaction | undefined
  for (const statement of script.statements) {
    const context: Context = {
      version: options.version,
      part: options.part,
      world,
      made,
      before: script.statements.slice(0, statement.index),
      statements: script.statements,
      ...(options.use === undefined ? {} : { use: options.use }),
      ...(options.hasRollback === undefined ? {} : { hasRollback: options.hasRollback }),
      ...(transaction === undefined ? {} : { transaction }),
    }
    const own = RULES.flatMap((rule) =>
      rule.check(statement, context).map((draft) => ({ rule, draft, statement })),
    )
    const precise = own.some(({ rule }) => PRECISE.has(rule.id))
    found.push(...own.filter(({ rule }) => !precise || !GENERAL.has(rule.id)))
    transaction = nextTransaction(transaction, statement, context)
    world.learn(statement.node)
  }
  return waived(script, found)
}

function nextTransaction(
  open: OpenTransaction | undefined,
  statement: Statement,
  context: Context,
): OpenTransaction | undefined {
  const { node } = statement
  if ('TransactionStmt' in node) {
    const { kind = '' } = node.TransactionStmt
    if (kind === 'TRANS_STMT_BEGIN' || kind === 'TRANS_STMT_START') {
      return open ?? { since: statement, added: new Set() }
    }
    return kind === 'TRANS_STMT_COMMIT' || kind === 'TRANS_STMT_ROLLBACK' ? undefined : open
  }
  if (open === undefined) return undefined
  const on = open.exclusive === undefined ? exclusivelyLocked(statement, context) : undefined
  const table = keyOf(alteredTable(node))
  const added = commandsOf(node).flatMap(({ subtype, def }) => {
    const name = subtype === 'AT_AddConstraint' ? constraintIn(def)?.conname : undefined
    return name === undefined ? [] : [`${table}.${name}`]
  })
  return {
    ...open,
    added: new Set([...open.added, ...added]),
    ...(on === undefined ? {} : { exclusive: { statement, on } }),
  }
}

/** Takes out what a waiver with a reason covers, and adds what is wrong with the waivers. */
function waived(script: Script, found: readonly Found[]): readonly Finding[] {
  const { source } = script
  const left = new Set(found)
  const findings: Finding[] = []
  for (const { rule, reason, statement, problem, comment } of waiversOf(script)) {
    const place = { at: comment.start, to: comment.end }
    const covered = found.filter((one) => one.rule.id === rule && one.statement.index === statement)
    if (problem === undefined && reason === '') {
      const message = `"${rule}" is waived without "because" and a reason: it is not.`
      findings.push(...finding('waiver-without-reason', { ...place, message }, source))
      continue
    }
    for (const one of covered) left.delete(one)
    if (covered.length > 0) continue
    const message = `The waiver waives nothing: ${problem ?? `"${rule}" is not found at the statement below`}.`
    findings.push(...finding('unused-waiver', { ...place, message }, source))
  }
  for (const { rule, draft, statement } of left) {
    findings.push(...finding(rule.id, { at: statement.start, ...draft }, source, statement))
  }
  return findings.sort((a, b) => a.line - b.line || a.column - b.column || a.rule.localeCompare(b.rule))
}

function finding(id: string, draft: Draft, source: Source, statement?: Statement): readonly Finding[] {
  const rule = ruleOf(id)
  if (rule === undefined) return []
  const at = draft.at ?? 0
  const word = statement?.tokens.find((token) => token.start <= at && at < token.end)
  const start = source.position(at)
  const end = source.position(draft.to ?? word?.end ?? at)
  return [
    {
      rule: rule.id,
      severity: rule.severity,
      file: source.file,
      line: start.line,
      column: start.column,
      endLine: end.line,
      endColumn: end.column,
      message: draft.message,
      lock: draft.lock ?? null,
      fix: draft.fix ?? null,
      docs: docsOf(rule.id),
    },
  ]
}
