/** Number of buckets that keys are spread over; a share is a count of buckets. */
export const BUCKETS = 100_000

/**
 * The bucket (0 to 99999) of a key, the same on every instance and in every run: FNV-1a over the UTF-16
 * code units of salt and key with the finalizer of MurmurHash3, whose avalanche spreads keys that differ
 * in their last character only. No allocation.
 */
export function bucketOf(salt: string, key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < salt.length; i++) hash = Math.imul(hash ^ salt.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ 0x1f, 0x01000193)
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  hash ^= hash >>> 16
  return Math.floor(((hash >>> 0) / 0x1_0000_0000) * BUCKETS)
}

/** Joins the parts of a composite key into the one text that hashes, locks and repairs use. */
export function keyText(key: string | number | bigint | readonly (string | number | bigint)[]): string {
  if (typeof key === 'string') return key
  return Array.isArray(key) ? key.join('\u001f') : String(key)
}
