export type Value = string | undefined

/** One routed write of the application. Its value is given once only; `change` does nothing where there is no row. */
export interface WriteOp {
  readonly app: string
  readonly key: string
  readonly kind: 'put' | 'change' | 'remove'
  readonly value: Value
}

export interface ReadOp {
  readonly app: Speaker
  readonly key: string
  readonly epoch: number
  /** Position in the history of the key below which the answer may not lie. */
  readonly from: number
}

/** One process of the application, as far as the invariants are concerned. */
export interface Speaker {
  readonly name: string
  /** It is there, and was told what to do. */
  readonly atWork: boolean
  /** Epoch under which its next operation begins. */
  readonly applied: number
  readonly fenced: boolean
  /** Its lease is over and it is set to stop then. */
  readonly halted: boolean
}

/** A write that has been sent off and may be let in. */
export interface SentWrite {
  readonly app: Speaker
  readonly epoch: number
}

/** Somebody who may read or write, and under which epoch. */
export interface User {
  readonly epoch: number
  readonly as: 'process' | 'read' | 'write' | 'transaction'
  /** The process whose it is. */
  readonly of: string
}

/** Put into words only where there is something to tell: users are counted after every step. */
export function nameOf({ as, of }: User): string {
  switch (as) {
    case 'process':
      return of
    case 'read':
      return `a read of ${of}`
    case 'write':
      return `a write under way of ${of}`
    case 'transaction':
      return `a transaction of ${of}`
  }
}
