import { fileURLToPath } from 'node:url'

/** The numbered files of the store's schema: two folders up, from `src` and from `dist` alike. */
export const STORE_MIGRATIONS = fileURLToPath(new URL('../../migrations', import.meta.url))

/** Schema of the store's database that everything of Switchback's own lives in. */
export const STORE_SCHEMA = 'switchback_store'
