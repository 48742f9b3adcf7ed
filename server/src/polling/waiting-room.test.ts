import { expect, test } from 'vitest'
import { createWaitingRoom } from './waiting-room.ts'

const never = (): void => undefined
/** Long enough that nothing here waits for it. */
const LONG_MS = 3_600_000

function room() {
  let tell: () => void = never
  let listening = true
  const made = createWaitingRoom((listener) => {
    tell = listener
    return () => {
      listening = false
    }
  })
  return { room: made, tell: () => tell(), listening: () => listening }
}

test('news that came between the look and the wait are not slept through', async () => {
  const { room: waiting, tell } = room()
  const seen = waiting.news
  tell()
  await waiting.newsAfter(seen, LONG_MS, never)
  expect(waiting.news).toBe(seen + 1)
})

test('everybody who waits is let go by one piece of news, and by nothing that came before', async () => {
  const { room: waiting, tell } = room()
  tell()
  let left = 0
  const all = Array.from({ length: 100 }, () =>
    waiting.newsAfter(waiting.news, LONG_MS, never).then(() => left++),
  )
  await new Promise((resolve) => setImmediate(resolve))
  expect(left).toBe(0)
  tell()
  await Promise.all(all)
})

test('whoever has hung up is not waited for, and time ends a wait as well', async () => {
  const { room: waiting } = room()
  let hangUp: () => void = never
  const gone = waiting.newsAfter(waiting.news, LONG_MS, (task) => {
    hangUp = task
  })
  hangUp()
  await gone
  await waiting.newsAfter(waiting.news, 1, never)
})

test('a server that stops lets everybody go, keeps nobody after that, and listens no more', async () => {
  const { room: waiting, listening } = room()
  const kept = waiting.newsAfter(waiting.news, LONG_MS, never)
  waiting.close()
  await kept
  expect(waiting.closed).toBe(true)
  expect(listening()).toBe(false)
  await waiting.newsAfter(waiting.news, LONG_MS, never)
})
