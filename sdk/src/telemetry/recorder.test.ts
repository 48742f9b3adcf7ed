import { FINE_LATENCY_BUCKETS_MS, LATENCY_BUCKETS_MS, telemetrySchema } from '@switchback/migrations-registry'
import { describe, expect, it } from 'vitest'
import { classOf, recordFailure, recordSuccess } from './cell.ts'
import { exposition } from './prometheus.ts'
import { createRecorder } from './recorder.ts'

describe('the recorder', () => {
  it('hands out what was counted since the last batch, as the wire has it', () => {
    const recorder = createRecorder()
    const cell = recorder.cell('m', 3, 'new', 'read')
    recordSuccess(cell, 0.05)
    recordSuccess(cell, 100_000)
    recordFailure(cell, 1, Object.assign(new Error('x'), { code: '23505' }))
    const batch = recorder.take()
    expect(telemetrySchema.safeParse(batch).success).toBe(true)
    expect(batch?.measurements).toHaveLength(1)
    const measured = batch?.measurements[0]
    expect(measured).toMatchObject({
      migration: 'm',
      epoch: 3,
      path: 'new',
      count: 3,
      errors: { '23505': 1 },
    })
    expect(measured?.latency).toHaveLength(LATENCY_BUCKETS_MS.length + 1)
    expect([measured?.latency[0], measured?.latency[3], measured?.latency.at(-1)]).toEqual([1, 1, 1])
    expect(measured?.fine).toHaveLength(FINE_LATENCY_BUCKETS_MS.length + 1)
    const places = [0.1, 1].map((bound) => measured?.fine?.[FINE_LATENCY_BUCKETS_MS.indexOf(bound)])
    expect([...places, measured?.fine?.at(-1)]).toEqual([1, 1, 1])
    expect(recorder.take()).toBeUndefined()
  })

  it('tells the server with the next batch how much was dropped', () => {
    const recorder = createRecorder()
    const cell = recorder.cell('m', 3, 'old', 'write')
    recordSuccess(cell, 1)
    recordSuccess(cell, 1)
    const lost = recorder.take()
    if (lost === undefined) throw new Error('there was something to take')
    recorder.dropped(lost)
    expect(recorder.take()).toEqual({ measurements: [], dropped: 2 })
    expect(recorder.droppedTotal).toBe(2)
  })

  it('does not count what was dropped before a second time when its message is lost as well', () => {
    const recorder = createRecorder()
    recordSuccess(recorder.cell('m', 3, 'old', 'write'), 1)
    for (let i = 0; i < 3; i++) recorder.dropped(recorder.take() ?? { measurements: [], dropped: 0 })
    expect(recorder.droppedTotal).toBe(1)
    expect(recorder.take()).toEqual({ measurements: [], dropped: 1 })
  })

  it('sends no more than the wire allows, and keeps few epochs of a migration', () => {
    const recorder = createRecorder()
    for (let i = 0; i < 2100; i++) recordSuccess(recorder.cell(`m${i}`, 1, 'old', 'read'), 1)
    expect(recorder.take()).toMatchObject({ dropped: 100 })
    for (let epoch = 1; epoch <= 100; epoch++) {
      recordSuccess(recorder.cell('many', epoch, 'old', 'read'), 1)
      recorder.take()
    }
    expect(recorder.totals().filter((cell) => cell.migration === 'many').length).toBeLessThan(10)
  })

  it('bounds the classes of errors', () => {
    const recorder = createRecorder()
    const cell = recorder.cell('m', 1, 'old', 'read')
    for (let i = 0; i < 100; i++) recordFailure(cell, 1, { code: `E${i}` })
    expect(cell.errors?.size).toBe(33)
    expect(cell.errors?.get('other')).toBe(68)
  })

  it.each([
    [new TypeError('x'), 'TypeError'],
    [Object.assign(new Error('x'), { code: 'ECONNRESET' }), 'ECONNRESET'],
    ['text', 'string'],
    [null, 'object'],
    [{}, 'Error'],
  ])('names the class of %s %s', (error, name) => {
    expect(classOf(error)).toBe(name)
  })
})

describe('the exposition', () => {
  it('carries totals over batches, with epoch and path as labels', () => {
    const recorder = createRecorder()
    const cell = recorder.cell('m', 3, 'new', 'read')
    recordSuccess(cell, 0.3)
    recorder.take()
    recordFailure(cell, 3, { code: 'a"b' })
    const text = exposition(recorder.totals(), { switchback_connected: 1 })
    const labels = 'migration="m",epoch="3",path="new",operation="read"'
    expect(text).toContain(`switchback_operations_total{${labels}} 2\n`)
    expect(text).toContain(`switchback_errors_total{${labels},class="a\\"b"} 1\n`)
    expect(text).toContain(`switchback_operation_duration_seconds_bucket{${labels},le="0.0005"} 1\n`)
    expect(text).toContain(`switchback_operation_duration_seconds_bucket{${labels},le="+Inf"} 2\n`)
    expect(text).toContain('switchback_connected 1\n')
  })
})

describe('a burst of failures', () => {
  it('is told of at once; single failures among many successes are not', () => {
    let bursts = 0
    const recorder = createRecorder(() => bursts++)
    const cell = recorder.cell('m', 1, 'new', 'read')
    for (let i = 0; i < 1000; i++) recordSuccess(cell, 1)
    for (let i = 0; i < 10; i++) recordFailure(cell, 1, { code: 'E' })
    expect(bursts).toBe(0)
    recorder.take()
    for (let i = 0; i < 3; i++) recordFailure(cell, 1, { code: 'E' })
    expect(bursts).toBe(1)
  })
})
