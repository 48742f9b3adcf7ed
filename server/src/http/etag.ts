import { createHash } from 'node:crypto'

/** A tag for this content. */
export const etagOf = (content: unknown): string =>
  `"${createHash('sha256').update(JSON.stringify(content)).digest('base64url').slice(0, 27)}"`

/** Whether the sender has this already, by its `If-None-Match`. Weak and strong tags are the same here. */
export const hasAlready = (ifNoneMatch: string | undefined, etag: string): boolean =>
  (ifNoneMatch ?? '').split(',').some((tag) => {
    const given = tag.trim().replace(/^W\//, '')
    return given === '*' || given === etag
  })
