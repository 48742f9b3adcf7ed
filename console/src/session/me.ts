import type { Schema } from '../api/client.ts'

/** Who is signed in. */
export type Me = Schema<'Me'>
export type Permission = keyof Me['permissions']
