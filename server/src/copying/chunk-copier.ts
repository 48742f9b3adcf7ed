import type { Mapping } from '../mapping/mapping.ts'
import { isDataError, sqlStateOf } from '../target/execution-error.ts'
import type { Connection } from '../target/target.ts'
import { type ChunkCopied, copyChunk, fillChunk, type OpenRange } from './copy-chunk.ts'

const MOST_CAREFUL = 64

/**
 * Copies ranges, those that new has nothing of in the faster way. Where the application writes new rows while
 * they are copied, that way fails and has been in vain: it is taken less and less often then.
 */
export function createChunkCopier() {
  let penalty = 0
  let careful = 0
  return async (on: Connection, mapping: Mapping, range: OpenRange): Promise<ChunkCopied | undefined> => {
    if (range.again) return copyChunk(on, mapping, range)
    if (careful > 0) {
      careful -= 1
      return copyChunk(on, mapping, range)
    }
    try {
      const filled = await fillChunk(on, mapping, range)
      if (filled !== undefined) {
        penalty >>= 1
        return filled
      }
    } catch (error) {
      // What a row was before a write that is under way may be at fault, and what it becomes may not.
      if (!isDataError(error)) throw error
      // A unique violation; another constraint of new speaks again below.
      if (sqlStateOf(error) === '23505') {
        penalty = Math.min(MOST_CAREFUL, penalty * 2 + 1)
        careful = penalty
      }
    }
    return copyChunk(on, mapping, range)
  }
}
