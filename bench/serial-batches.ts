import type pg from 'pg'

const BATCH = 1_000

/** The column and trigger that the method of pgroll needs; before the clock starts. */
export async function prepareSerialBatches(pool: pg.Pool): Promise<void> {
  await pool.query(
    `alter table users add column bio_new text, add column needs_backfill boolean default true`,
  )
  await pool.query(`create or replace function fill_bio_new() returns trigger language plpgsql as $$
    begin
      if current_setting('search_path') <> 'next' then
        new.bio_new := new.bio;
        new.needs_backfill := false;
      end if;
      return new;
    end $$`)
  await pool.query(
    'create trigger fill_bio_new before insert or update on users for each row execute function fill_bio_new()',
  )
}

/**
 * Backfill by the method of pgroll: a row trigger fills a new column of the same table, and batches of 1,000
 * rows, one after the other and each locked first, are touched so that it fires. Less data is written than
 * by the others (one column of five), which is to its advantage.
 */
export async function serialBatches(pool: pg.Pool): Promise<void> {
  const client = await pool.connect()
  try {
    let last = '0'
    for (;;) {
      const { rows } = await client.query<{ last: string | null }>({
        name: 'serial batch',
        text: `with batch as (
            select id from users where needs_backfill and id > $1 order by id limit ${BATCH} for no key update
          ), touched as (
            update users set id = users.id from batch where users.id = batch.id returning users.id
          ) select max(id)::text as last from touched`,
        values: [last],
      })
      const reached = rows[0]?.last ?? undefined
      if (reached === undefined) return
      last = reached
    }
  } finally {
    client.release()
  }
}
