import { readdirSync, readFileSync } from 'node:fs'

/** Ticks of /proc/<pid>/stat per second; a constant of the kernel's interface on every platform Node runs on. */
const TICKS_PER_SECOND = 100

/** Seconds of CPU (user and system) that a process has used. */
export function cpuSeconds(pid: number): number {
  const fields = statOf(pid)
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** The same for a process and all that it has begotten. */
export function cpuSecondsOfTree(root: number): ReadonlyMap<number, number> {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid)) continue
    try {
      parents.set(pid, Number(statOf(pid)[1]))
    } catch {
      // Ended between the listing and the look.
    }
  }
  const tree = new Set([root])
  for (let before = 0; before < tree.size; ) {
    before = tree.size
    for (const [pid, parent] of parents) if (tree.has(parent)) tree.add(pid)
  }
  return new Map(
    [...tree].flatMap((pid) => {
      try {
        return [[pid, cpuSeconds(pid)] as const]
      } catch {
        return []
      }
    }),
  )
}

/** What processes of a tree have used between two looks; those that ended in between are left out. */
export const cpuBetween = (before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>): number =>
  [...after].reduce((sum, [pid, seconds]) => sum + seconds - (before.get(pid) ?? 0), 0)

/** Fields after the name of the program, which may contain blanks and parentheses. */
function statOf(pid: number): readonly string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

export const residentMb = (pid: number): number =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024)

/** @throws where this machine cannot hold that many connections, saying what to raise */
export function requireRoomFor(connections: number): void {
  const files = Number(
    /Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? Number.POSITIVE_INFINITY,
  )
  if (files < connections + 500) {
    throw new Error(
      `${connections} connections need about ${connections + 500} open files, and ${files} are allowed: ulimit -n ${connections + 1000}`,
    )
  }
  const [low = 0, high = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    .split(/\s+/)
    .map(Number)
  if (high - low < 2 * connections) {
    throw new Error(
      `${connections} clients that come back need ${2 * connections} local ports, and there are ${high - low}: sysctl net.ipv4.ip_local_port_range`,
    )
  }
}
