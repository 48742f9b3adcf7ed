import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface ObjectStore {
  readonly endpoint: string
  /** Content by `bucket/key`. */
  readonly objects: ReadonlyMap<string, Buffer>
  /** How many objects came in parts. */
  uploads(): number
  stop(): Promise<void>
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

/** What a store that speaks S3 does with objects: whole ones, ones in parts, lists in pages, deletes. */
export async function objectStore(pageSize = 2): Promise<ObjectStore> {
  const objects = new Map<string, Buffer>()
  const open = new Map<string, Map<number, Buffer>>()
  let uploads = 0

  const xml = (answer: ServerResponse, status: number, body: string): void => {
    answer.writeHead(status, { 'content-type': 'application/xml' })
    answer.end(`<?xml version="1.0" encoding="UTF-8"?>${body}`)
  }

  function list(answer: ServerResponse, bucket: string, query: URLSearchParams): void {
    const prefix = `${bucket}/${query.get('prefix') ?? ''}`
    const after = query.get('continuation-token') ?? ''
    const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort()
    const page = keys.slice(0, pageSize)
    const more = keys.length > page.length
    const contents = page.map(
      (key) => `<Contents><Key>${escaped(key.slice(bucket.length + 1))}</Key></Contents>`,
    )
    const next = more ? `<NextContinuationToken>${escaped(page.at(-1) ?? '')}</NextContinuationToken>` : ''
    xml(
      answer,
      200,
      `<ListBucketResult><IsTruncated>${more}</IsTruncated>${next}${contents.join('')}</ListBucketResult>`,
    )
  }

  async function handle(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    const name = decodeURIComponent(pathname.slice(1))
    const body = await buffer(request)
    const upload = searchParams.get('uploadId')
    const parts = upload === null ? undefined : open.get(upload)
    const tag = `"${createHash('md5').update(body).digest('hex')}"`
    if (request.headers.authorization?.includes('Credential=test-key/') !== true) {
      return xml(answer, 403, '<Error><Code>AccessDenied</Code></Error>')
    }
    if (request.method === 'POST' && searchParams.has('uploads')) {
      const id = `upload-${++uploads}`
      open.set(id, new Map())
      return xml(
        answer,
        200,
        `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
      )
    }
    if (request.method === 'POST' && parts !== undefined) {
      const whole = [...parts].sort(([a], [b]) => a - b).map(([, part]) => part)
      objects.set(name, Buffer.concat(whole))
      return xml(answer, 200, '<CompleteMultipartUploadResult></CompleteMultipartUploadResult>')
    }
    if (request.method === 'PUT') {
      if (parts === undefined) objects.set(name, body)
      else parts.set(Number(searchParams.get('partNumber')), body)
      answer.writeHead(200, { etag: tag })
      answer.end()
      return
    }
    if (request.method === 'DELETE') {
      if (upload === null) objects.delete(name)
      else open.delete(upload)
      answer.writeHead(204)
      answer.end()
      return
    }
    const bucket = name.split('/')[0] ?? ''
    if (searchParams.has('list-type')) return list(answer, bucket, searchParams)
    const found = objects.get(name)
    if (found === undefined) return xml(answer, 404, '<Error><Code>NoSuchKey</Code></Error>')
    answer.writeHead(200, { 'content-length': found.length })
    answer.end(found)
  }

  const server = createServer((request, answer) => {
    handle(request, answer).catch(() => answer.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    objects,
    uploads: () => uploads,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
