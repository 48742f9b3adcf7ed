import pg from 'pg'
import { seededRandom, userId } from './random.ts'

const BATCH = 5000
const WORDS = [
  'night',
  'river',
  'driver',
  'coffee',
  'rickshaw',
  'window',
  'quiet',
  'music',
  'monsoon',
  'bridge',
]

/** Creates BimRide's table of users in the target and fills it from a seeded generator. */
export async function seedUsers(
  url: string,
  rows: number,
  seed: number,
  onProgress: (done: number) => void,
): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(`
      create table users (
        id uuid primary key,
        email text not null unique,
        bio text,
        preferences jsonb not null default '{}',
        created_at timestamptz not null default now()
      )`)
    const random = seededRandom(seed)
    const pick = () => WORDS[Math.floor(random() * WORDS.length)] ?? 'ride'
    for (let start = 0; start < rows; start += BATCH) {
      const ids: string[] = []
      const bios: (string | null)[] = []
      const preferences: string[] = []
      const created: string[] = []
      for (let n = start; n < Math.min(start + BATCH, rows); n++) {
        ids.push(userId(seed, n))
        bios.push(random() < 0.1 ? null : Array.from({ length: 8 }, pick).join(' '))
        preferences.push(
          JSON.stringify({ seat: pick(), talk: random() < 0.5, tip: Math.floor(random() * 20) }),
        )
        created.push(new Date(1_600_000_000_000 + Math.floor(random() * 1.5e11)).toISOString())
      }
      await client.query(
        `insert into users (id, email, bio, preferences, created_at)
         select id, id || '@bimride.example', bio, preferences, created_at
         from unnest($1::uuid[], $2::text[], $3::jsonb[], $4::timestamptz[]) as t(id, bio, preferences, created_at)`,
        [ids, bios, preferences, created],
      )
      onProgress(Math.min(start + BATCH, rows))
    }
    await client.query('vacuum analyze users')
  } finally {
    await client.end()
  }
}
