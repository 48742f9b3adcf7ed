import { randomBytes } from 'node:crypto'
import type { Clock, NewId } from '../db/clock.ts'

/** Ids such as `inc_01jd…`: the time first, so that they sort by it; then 80 random bits. */
export const createNewId =
  (clock: Clock): NewId =>
  (prefix) =>
    `${prefix}_${clock().toString(36).padStart(9, '0')}${randomBytes(10).toString('hex')}`
