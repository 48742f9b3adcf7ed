import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, pages, REPOSITORY, spawnProcess } from '@switchback/test/support'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { spawnServer } from '../e2e/service.ts'

const PRINTED = 'http://127.0.0.1:7410'
const hasCurl = (() => {
  try {
    execFileSync('curl', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchback-walk-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test.skipIf(!hasCurl)('the five minutes with curl go as the README prints them', async () => {
  const readme = (await pages()).find(({ file }) => file === 'README.md')
  const [script, ...others] = (readme?.snippets ?? []).filter(({ language }) => language === 'bash')
  expect(others).toEqual([])
  expect(script?.text).toContain(PRINTED)
  const port = await freePort()
  // As in a clone, but for the data and the port, which may be in use on this machine.
  await symlink(join(REPOSITORY, 'migrations-registry'), join(folder, 'migrations-registry'))
  await writeFile(join(folder, '.curlrc'), 'write-out = "\\n"\nshow-error\n')
  const server = spawnServer(port, { SWITCHBACK_ADMIN_TOKEN: undefined, LOG_LEVEL: 'info' }, folder)
  const walk = async () => {
    await server.sees(/the server is ready/, { timeoutMs: 60_000 })
    const text = (script?.text ?? '').replaceAll(PRINTED, `http://127.0.0.1:${port}`)
    const bash = spawnProcess('bash', ['-c', text], { cwd: folder, env: { CURL_HOME: folder } })
    const { code } = await bash.exited
    return { code, said: bash.output() }
  }
  try {
    const { code, said } = await walk()
    const answers = said
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => JSON.parse(line))
    expect(code).toBe(0)
    expect(answers).toMatchObject([
      { id: 'user-profiles', state: { phase: 'planned' } },
      { id: 'user-profiles', gate: { open: true } },
      { next: { work: 'expand' }, blockers: [] },
      { state: { phase: 'planned', work: { kind: 'expand' } } },
      { state: { phase: 'dual-write' } },
      { value: 'dual-old', metadata: { phase: 'dual-write' } },
      { accepted: [{ duplicate: false }] },
      { incidents: [{ migration: 'user-profiles', status: 'open', to: { phase: 'expanded' } }] },
      { events: expect.arrayContaining([expect.objectContaining({ kind: 'migration.reverted' })]) },
    ])
  } finally {
    await server.kill('SIGTERM')
  }
})
