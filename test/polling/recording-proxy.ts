import { createServer, request as forward, type Server } from 'node:http'
import { connect, type Socket } from 'node:net'

interface Seen {
  readonly method: string
  readonly path: string
  readonly ifNoneMatch: string | undefined
  /** 0 where it broke without an answer; undefined as long as it is held. */
  status: number | undefined
}

/** What stands between an instance and the server: records what passes, and can be in the way. */
export interface RecordingProxy {
  readonly url: string
  readonly seen: Seen[]
  /** Requests for an upgrade that came. */
  upgrades: number
  /** Lets websockets through; refuses them with 403 otherwise, as a firewall does. */
  websockets: boolean
  /** Whether a server is behind it: answers everything with 503 otherwise, as a load balancer does. */
  serverIsThere: boolean
  /** Breaks requests that the server would hold back. */
  breaksHeld: boolean
  /** Cuts every connection and refuses new ones, until `start`. */
  stop(): Promise<void>
  start(): Promise<void>
}

export async function startProxy(target: string): Promise<RecordingProxy> {
  const to = new URL(target)
  const sockets = new Set<Socket>()
  let server: Server
  let port = 0

  const proxy: RecordingProxy = {
    get url() {
      return `http://127.0.0.1:${port}`
    },
    seen: [],
    upgrades: 0,
    websockets: true,
    serverIsThere: true,
    breaksHeld: false,
    start: async () => {
      server = createServer((request, response) => {
        const path = request.url ?? ''
        const seen: Seen = {
          method: request.method ?? '',
          path,
          ifNoneMatch: request.headers['if-none-match'],
          status: undefined,
        }
        proxy.seen.push(seen)
        if (!proxy.serverIsThere) {
          seen.status = 503
          response.writeHead(503).end()
          return
        }
        if (proxy.breaksHeld && path.includes('wait=')) {
          response.destroy()
          return
        }
        const { method, headers } = request
        const on = forward({ host: to.hostname, port: to.port, method, path, headers }, (answer) => {
          seen.status = answer.statusCode
          response.writeHead(answer.statusCode ?? 502, answer.headers)
          answer.pipe(response)
        })
        on.on('error', () => response.destroy())
        response.once('close', () => {
          seen.status ??= 0
          on.destroy()
        })
        request.pipe(on)
      })
      server.on('connection', (socket) => {
        sockets.add(socket)
        socket.once('close', () => sockets.delete(socket))
      })
      server.on('upgrade', (request, socket, head) => {
        proxy.upgrades++
        if (!proxy.websockets) {
          socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
          return
        }
        if (!proxy.serverIsThere) {
          socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
          return
        }
        const on = connect(Number(to.port), to.hostname, () => {
          const lines = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`)
          on.write(`GET ${request.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
          on.write(head)
          socket.pipe(on).pipe(socket)
        })
        on.on('error', () => socket.destroy())
        socket.on('error', () => on.destroy())
        socket.once('close', () => on.destroy())
      })
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
      const address = server.address()
      port = typeof address === 'object' && address !== null ? address.port : port
    },
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
  await proxy.start()
  return proxy
}
