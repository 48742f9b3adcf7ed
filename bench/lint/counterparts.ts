/** Rules of squawk, and which of ours find the same. */
export const COUNTERPARTS: Readonly<Record<string, readonly string[]>> = {
  'adding-field-with-default': ['add-column-default', 'add-generated-column', 'add-serial-column'],
  'adding-foreign-key-constraint': ['add-foreign-key'],
  'adding-not-nullable-field': ['set-not-null', 'add-not-null-column'],
  'adding-required-field': ['add-not-null-column'],
  'adding-serial-primary-key-field': ['add-primary-key', 'add-serial-column'],
  'ban-alter-domain-with-add-constraint': ['domain-constraint'],
  'ban-char-field': ['char-type'],
  'ban-concurrent-index-creation-in-transaction': ['concurrent-in-transaction'],
  'ban-create-domain-with-constraint': ['create-domain-constraint'],
  'ban-drop-column': ['drop-column'],
  'ban-drop-database': ['drop-database'],
  'ban-drop-not-null': ['drop-not-null'],
  'ban-drop-table': ['drop-table'],
  'ban-truncate-cascade': ['truncate'],
  'ban-uncommitted-transaction': ['transaction-control'],
  'changing-column-type': ['change-column-type'],
  'constraint-missing-not-valid': [
    'add-foreign-key',
    'add-check',
    'add-unique-constraint',
    'add-primary-key',
    'add-exclusion-constraint',
    'set-not-null',
    'validate-in-transaction',
  ],
  'disallowed-unique-constraint': ['add-unique-constraint'],
  'identifier-too-long': ['identifier-too-long'],
  'prefer-bigint-over-int': ['small-key', 'add-serial-column'],
  'prefer-bigint-over-smallint': ['small-key', 'add-serial-column'],
  'prefer-identity': ['serial-type', 'add-serial-column'],
  'prefer-repack': ['rewrite-table'],
  'prefer-text-field': ['varchar-limit'],
  'prefer-timestamp-tz': ['timestamp-without-zone'],
  'renaming-column': ['rename-column'],
  'renaming-table': ['rename-table'],
  'require-concurrent-index-creation': ['create-index'],
  'require-concurrent-index-deletion': ['drop-index'],
  'require-concurrent-partition-detach': ['detach-partition'],
  'require-concurrent-reindex': ['reindex'],
  'transaction-nesting': ['transaction-control'],
}

const NEW = 'The table is created in the same file: nobody uses it yet.'
const NO_KEY = 'Neither a key nor numbered: it does not run out.'
const STEADY =
  'The default is the same for every row of a statement: PostgreSQL 11 and later rewrite nothing.'
const WAIVED = 'The file waives it, with a reason.'

/** `rule file` of squawk that we let pass, and why; the tests run each of these files on a real PostgreSQL. */
export const EXPLAINED: Readonly<Record<string, string>> = {
  'adding-field-with-default good/column-of-new-table.sql': NEW,
  'adding-field-with-default good/default-expression.sql': STEADY,
  'adding-field-with-default good/default-steady-function-of-the-file.sql': STEADY,
  'adding-field-with-default good/generated-virtual.sql':
    'A virtual column is computed when it is read: nothing is written.',
  'adding-not-nullable-field good/column-of-new-table.sql': NEW,
  'adding-foreign-key-constraint bad/fk-column.sql':
    'Rows that are there hold null in the new column: PostgreSQL skips the check. The missing index is found.',
  'ban-alter-domain-with-add-constraint good/domain-check-not-valid.sql':
    'Added NOT VALID it reads no table, and its validation keeps no writes out.',
  'ban-drop-column good/waivers.sql': WAIVED,
  'ban-drop-table good/drop-new-table.sql': NEW,
  'changing-column-type good/column-of-new-table.sql': NEW,
  'prefer-bigint-over-int bad/default-random-in-expression.sql': NO_KEY,
  'prefer-bigint-over-int bad/type-using.sql': NO_KEY,
  'prefer-bigint-over-int good/default-steady-function-of-the-file.sql': NO_KEY,
  'prefer-bigint-over-int good/int-key-that-refers.sql': 'It refers to a key that is an int itself.',
  'prefer-bigint-over-int good/types-that-last.sql': NO_KEY,
  'renaming-column good/rename-new-table.sql': NEW,
  'renaming-table good/rename-new-table.sql': NEW,
  'require-concurrent-index-creation good/drop-index-of-new-table.sql': NEW,
  'require-concurrent-index-creation good/fk-new-table-with-index.sql': NEW,
  'require-concurrent-index-creation good/index-new-table.sql': NEW,
  'require-concurrent-index-creation good/index-new-table-in-schema.sql': NEW,
  'require-concurrent-index-creation good/index-only-parent.sql':
    'ON ONLY a partitioned table builds nothing.',
  'require-concurrent-index-creation good/index-temporary.sql': 'No other session sees a temporary table.',
  'require-concurrent-index-creation good/rename-new-table.sql': NEW,
  'require-concurrent-index-creation good/waiver.sql': WAIVED,
  'require-concurrent-index-deletion good/drop-index-of-new-table.sql': NEW,
}
