import pg from 'pg'

/** A migration made up for the console's tests: one table moves to another. */
export interface Made {
  readonly id: string
  readonly title: string
  readonly team: string
  readonly rows: number
  /** More lines of the definition, and of its `copy`. */
  readonly more?: string
  readonly copying?: string
  readonly expand?: string
  /** Rows of old that do not fit into new. */
  readonly unfit?: readonly number[]
}

const table = (id: string): string => id.replaceAll('-', '_')
export const oldTable = ({ id }: Pick<Made, 'id'>): string => `${table(id)}_v1`
export const newTable = ({ id }: Pick<Made, 'id'>): string => `${table(id)}_v2`

/** What is registered for it. */
export function registrationOf(made: Made): { yaml: string; sql: Record<string, string> } {
  const yaml = `id: ${made.id}
title: ${made.title}
owner: { team: ${made.team}, contacts: ["#${made.team}-oncall"] }
copy:
  from: ${oldTable(made)}
  to: ${newTable(made)}
  key: { id: id }
  columns: { payload: payload, updated_at: updated_at }
${made.copying ?? ''}${made.more ?? ''}`
  return {
    yaml,
    sql: {
      expand:
        made.expand ??
        `create table ${newTable(made)} (\n  id bigint primary key,\n  payload text${made.unfit === undefined ? '' : " check (payload <> 'unfit')"},\n  updated_at timestamptz not null default now()\n);\n`,
      rollback: `drop table if exists ${newTable(made)};\n`,
      contract: `drop table ${oldTable(made)};\n`,
    },
  }
}

/** Makes the old table with its rows. */
export async function fill(url: string, all: readonly Made[]): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (const made of all) {
      await client.query(
        `create table ${oldTable(made)} (id bigint primary key, payload text, updated_at timestamptz not null default now())`,
      )
      await client.query(
        `insert into ${oldTable(made)} (id, payload) select n, 'row ' || n from generate_series(1, $1::int) n`,
        [made.rows],
      )
      if (made.unfit !== undefined) {
        await client.query(`update ${oldTable(made)} set payload = 'unfit' where id = any($1)`, [made.unfit])
      }
    }
  } finally {
    await client.end()
  }
}
