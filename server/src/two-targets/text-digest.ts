/*
 * What stands for a text in both databases. SHA-256 of its bytes in UTF-8: the same in every version of PostgreSQL, on
 * every platform, in every encoding, and allowed where MD5 is not (FIPS). PostgreSQL's own hash functions are
 * faster, and promise none of this.
 */
const digest = (text: string): string => `sha256(convert_to(${text}, 'UTF8'))`

/** SQL of a number that is as good as drawn by lot from all of bigint, and the same wherever the text is. */
export const numberOf = (text: string): string =>
  `('x' || encode(substr(${digest(text)}, 1, 8), 'hex'))::bit(64)::bigint`

/** SQL of a text by which two texts are told apart. */
export const digestOf = (text: string): string => `encode(substr(${digest(text)}, 1, 16), 'hex')`
