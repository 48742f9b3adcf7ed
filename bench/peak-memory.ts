const EVERY_MS = 20

/** The highest resident memory of this process while `work` ran, in MiB. */
export async function peakMemory(work: () => Promise<unknown>): Promise<number> {
  let peak = 0
  const look = () => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }
  look()
  const timer = setInterval(look, EVERY_MS)
  try {
    await work()
  } finally {
    clearInterval(timer)
    look()
  }
  return Math.round(peak / 2 ** 20)
}
