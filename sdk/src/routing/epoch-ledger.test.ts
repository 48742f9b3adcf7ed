import { describe, expect, it } from 'vitest'
import { beginOperation, EpochLedger, endOperation } from './epoch-ledger.ts'

const ledgerAt = (epoch: number): { ledger: EpochLedger; changes: number[] } => {
  const changes: number[] = []
  const ledger = new EpochLedger(epoch, () => changes.push(ledger.drained))
  return { ledger, changes }
}

describe('the ledger of epochs', () => {
  it('has drained a new epoch at once when nothing is in flight', () => {
    const { ledger, changes } = ledgerAt(1)
    ledger.apply(2)
    expect([ledger.applied, ledger.drained, changes]).toEqual([2, 2, [2]])
  })

  it('has drained only up to the oldest epoch with an operation in flight', () => {
    const { ledger, changes } = ledgerAt(1)
    const first = beginOperation(ledger.current, 'write', 0)
    ledger.apply(2)
    const second = beginOperation(ledger.current, 'read', 5)
    ledger.apply(3)
    expect(ledger.position(10)).toEqual({ applied: 3, drained: 1, oldest: { kind: 'write', ageMs: 10 } })
    endOperation(second)
    expect(ledger.drained).toBe(1)
    endOperation(first)
    expect(ledger.position(10)).toEqual({ applied: 3, drained: 3 })
    expect(changes).toEqual([1, 1, 3])
  })

  it('names the oldest operation that is still there, whichever end first', () => {
    const { ledger } = ledgerAt(1)
    const operations = (['read', 'write', 'compare'] as const).map((kind, at) =>
      beginOperation(ledger.current, kind, at),
    )
    const [read, write, compare] = operations
    if (!read || !write || !compare) throw new Error('three were begun')
    endOperation(write)
    expect(ledger.position(10).oldest).toEqual({ kind: 'read', ageMs: 10 })
    endOperation(read)
    expect(ledger.position(10).oldest).toEqual({ kind: 'compare', ageMs: 8 })
    endOperation(compare)
    expect(ledger.idle).toBe(true)
  })

  it('counts an operation that ends twice once', () => {
    const { ledger } = ledgerAt(1)
    const first = beginOperation(ledger.current, 'read', 0)
    const second = beginOperation(ledger.current, 'read', 0)
    ledger.apply(2)
    endOperation(first)
    endOperation(first)
    expect(ledger.drained).toBe(1)
    endOperation(second)
    expect(ledger.drained).toBe(2)
  })

  it('never goes back to an older epoch', () => {
    const { ledger } = ledgerAt(5)
    ledger.apply(4)
    expect(ledger.applied).toBe(5)
  })

  it('tells who waits when nothing is in flight under any epoch', async () => {
    const { ledger } = ledgerAt(1)
    const first = beginOperation(ledger.current, 'read', 0)
    ledger.apply(2)
    const second = beginOperation(ledger.current, 'read', 0)
    const idle = ledger.untilIdle()
    endOperation(second)
    expect(ledger.idle).toBe(false)
    endOperation(first)
    await idle
  })

  it('is not idle between two attempts of one call', async () => {
    const { ledger } = ledgerAt(1)
    ledger.callBegins()
    endOperation(beginOperation(ledger.current, 'write', 0))
    const idle = ledger.untilIdle()
    expect(ledger.idle).toBe(false)
    // No epoch is held up by it: the next attempt will be of the newest.
    ledger.apply(2)
    expect(ledger.drained).toBe(2)
    ledger.callEnds()
    await idle
  })
})
