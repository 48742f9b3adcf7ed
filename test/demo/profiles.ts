import type { Queryable } from './queryable.ts'

/** What rides-api knows of a profile. */
export interface Profile {
  readonly bio: string | null
  readonly preferences: Readonly<Record<string, unknown>>
  readonly createdAt: string
}

/** A change of a profile: one entry of the preferences, the bio, and for a new user the time of joining. */
export interface ProfileChange {
  readonly kind: 'create' | 'update'
  readonly bio: string
  readonly preferences: Readonly<Record<string, number>>
  readonly createdAt: string
}

interface Row {
  readonly bio: string | null
  readonly preferences: Readonly<Record<string, unknown>>
  readonly created_at: Date
}

const toProfile = (row: Row | undefined): Profile | null =>
  row === undefined
    ? null
    : { bio: row.bio, preferences: row.preferences, createdAt: row.created_at.toISOString() }

/** The old path: profile columns in `users`. */
export const oldPath = {
  read: async (id: string, db: Queryable): Promise<Profile | null> => {
    const { rows } = await db.query<Row>('select bio, preferences, created_at from users where id = $1', [id])
    return toProfile(rows[0])
  },
  write: async (id: string, db: Queryable, change: ProfileChange): Promise<void> => {
    if (change.kind === 'create') {
      await db.query(
        'insert into users (id, email, bio, preferences, created_at) values ($1, $2, $3, $4, $5)',
        [id, `${id}@bimride.example`, change.bio, change.preferences, change.createdAt],
      )
      return
    }
    await db.query('update users set bio = $2, preferences = preferences || $3 where id = $1', [
      id,
      change.bio,
      change.preferences,
    ])
  },
  remove: async (id: string, db: Queryable): Promise<void> => {
    await db.query('delete from users where id = $1', [id])
  },
}

/** The new path: a table of its own. The user itself stays in `users`. */
export const newPath = {
  read: async (id: string, db: Queryable): Promise<Profile | null> => {
    const { rows } = await db.query<Row>(
      'select bio, preferences, created_at from user_profiles where user_id = $1',
      [id],
    )
    return toProfile(rows[0])
  },
  write: async (id: string, db: Queryable, change: ProfileChange): Promise<void> => {
    if (change.kind === 'create') {
      await db.query('insert into users (id, email) values ($1, $2) on conflict (id) do nothing', [
        id,
        `${id}@bimride.example`,
      ])
    }
    await db.query(
      `insert into user_profiles as p (user_id, bio, preferences, created_at) values ($1, $2, $3, $4)
       on conflict (user_id) do update set bio = excluded.bio, preferences = p.preferences || excluded.preferences`,
      [id, change.bio, change.preferences, change.createdAt],
    )
  },
  remove: async (id: string, db: Queryable): Promise<void> => {
    await db.query('delete from user_profiles where user_id = $1', [id])
    await db.query('delete from users where id = $1', [id])
  },
}
