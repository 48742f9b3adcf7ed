import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import request from 'supertest'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { serveConsole } from './serve-console.ts'

let folder: string
const app = express()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'console-'))
  await mkdir(join(folder, 'assets'))
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>Switchback</title>')
  await writeFile(join(folder, 'assets', 'index-1a.js'), 'export {}')
  app.use(serveConsole(folder))
  app.use((_request, response) => void response.status(404).json({ code: 'not-found' }))
})
afterAll(() => rm(folder, { recursive: true }))

const asBrowser = (path: string) => request(app).get(path).set('Accept', 'text/html,*/*;q=0.8')

test.each(['/', '/migrations/user-profiles/health', '/fleet'])(
  'a browser gets the page at %s',
  async (path) => {
    const { headers, text } = await asBrowser(path).expect(200)
    expect(text).toContain('<title>Switchback</title>')
    expect(headers['cache-control']).toBe('no-cache')
  },
)

test.each(['/v1/none', '/ofrep/v1/none', '/metrics/none'])(
  'the API answers for itself at %s',
  async (path) => {
    await asBrowser(path).expect(404)
  },
)

test('who asks for no page is told by the API that there is none', async () => {
  await request(app).get('/migrations').expect(404)
  await request(app).post('/').expect(404)
})

test('only code of the server itself may run, and nobody may frame the page', async () => {
  const policy = (await asBrowser('/').expect(200)).headers['content-security-policy']
  expect(policy).toContain("default-src 'none'")
  expect(policy).toContain("script-src 'self'")
  expect(policy).toContain("frame-ancestors 'none'")
  expect(policy).not.toContain('unsafe')
})

test('files with a hash in their name are kept for ever, the page is asked for anew', async () => {
  const { headers } = await request(app).get('/assets/index-1a.js').expect(200)
  expect(headers['cache-control']).toContain('immutable')
  expect(headers['content-type']).toContain('text/javascript')
  const { headers: page } = await asBrowser('/').expect(200)
  await asBrowser('/').set('If-None-Match', String(page.etag)).expect(304)
})

test.each(['/../package.json', '/assets/..%2f..%2fpackage.json', '/assets/'])(
  'nothing outside of the folder is to be had by %s',
  async (path) => {
    const { text } = await request(app).get(path)
    expect(text).not.toContain('workspaces')
  },
)
