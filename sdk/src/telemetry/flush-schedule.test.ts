import { describe, expect, it } from 'vitest'
import type { Clock } from '../clock.ts'
import { createFlushSchedule } from './flush-schedule.ts'

/** A clock that a test moves. */
function manual() {
  let now = 0
  let tasks: { readonly at: number; readonly run: () => void }[] = []
  const clock: Clock = {
    now: () => now,
    after: (ms, run) => {
      const task = { at: now + ms, run }
      tasks.push(task)
      return () => {
        tasks = tasks.filter((each) => each !== task)
      }
    },
  }
  return {
    clock,
    passTo: (until: number, each: () => void = () => undefined) => {
      for (; now < until; now += 5) {
        each()
        for (const task of tasks.filter(({ at }) => at <= now)) {
          tasks = tasks.filter((other) => other !== task)
          task.run()
        }
      }
    },
  }
}

describe('batches', () => {
  it('go out once a second, and soon when operations begin to fail', () => {
    const { clock, passTo } = manual()
    const sent: number[] = []
    const schedule = createFlushSchedule(clock, () => sent.push(clock.now()))
    passTo(2400)
    expect(sent).toEqual([1000, 2000])
    schedule.hurry()
    passTo(2500)
    expect(sent[2]).toBeLessThan(2450)
  })

  it('do not multiply for as long as operations fail', () => {
    const { clock, passTo } = manual()
    const sent: number[] = []
    const schedule = createFlushSchedule(clock, () => sent.push(clock.now()))
    passTo(1050)
    passTo(11_000, schedule.hurry)
    expect(sent.length).toBeLessThan(15)
    expect(sent.slice(1, 4).map((at) => Math.round((at - 1050) / 100))).toEqual([1, 3, 7])
    passTo(14_000)
    sent.length = 0
    schedule.hurry()
    passTo(14_200)
    expect(sent).toHaveLength(1)
  })

  it('end', () => {
    const { clock, passTo } = manual()
    const sent: number[] = []
    const schedule = createFlushSchedule(clock, () => sent.push(clock.now()))
    schedule.stop()
    schedule.hurry()
    passTo(3000)
    expect(sent).toEqual([])
  })
})
