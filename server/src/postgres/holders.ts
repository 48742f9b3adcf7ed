import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { leaveTo } from './identity.ts'
import { isRunning, startMark } from './process-table.ts'

/**
 * The processes that use one bundled PostgreSQL, each a file `<pid>-<start mark>-<n>` in the data folder.
 * Several may (a server and a worker, say); the last that stops shuts PostgreSQL down. A process
 * that was killed leaves its file, which counts no longer and is swept here.
 */
export interface Holders {
  /** Registers a use by this process and returns its end; others' uses left over are swept. */
  join(): { leave(): void }
  /** Whether any living use is left. */
  any(): boolean
}

let uses = 0

export function createHolders(dataDir: string): Holders {
  const folder = join(dataDir, 'switchback.holders')

  function any(): boolean {
    let living = false
    for (const name of list(folder)) {
      const [pid = '', mark = ''] = name.split('-')
      if (isRunning(Number(pid)) && startMark(Number(pid)) === mark) living = true
      else rmSync(join(folder, name), { force: true })
    }
    return living
  }

  return {
    any,
    join() {
      mkdirSync(folder, { recursive: true })
      any()
      uses += 1
      const file = join(folder, `${process.pid}-${startMark(process.pid)}-${uses}`)
      writeFileSync(file, '')
      leaveTo(folder, dataDir)
      return { leave: () => rmSync(file, { force: true }) }
    },
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
