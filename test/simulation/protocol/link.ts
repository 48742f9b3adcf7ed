import type { Link, LinkListener } from '@switchback/sdk/parts'
import type { Channel, Network } from '../world/network.ts'
import type { SimProcess } from '../world/process.ts'

/** The server's end of a connection. */
export interface Connection {
  readonly id: number
  readonly client: string
  /** Sends something that is not asked for. */
  tell(event: 'change' | 'dismissed', body: unknown): void
}

/** Where instances connect to. */
export interface Endpoint {
  readonly process: SimProcess
  /** False while the server starts. */
  readonly open: boolean
  connected(connection: Connection): void
  disconnected(connection: Connection): void
  /** Answers a message; undefined is no answer. */
  take(connection: Connection, event: string, body: unknown): Promise<unknown>
}

export interface LinkOptions {
  readonly network: Network
  readonly process: SimProcess
  readonly endpoint: Endpoint
  /** Messages are lost, doubled and overtake each other, as no socket would let them. */
  readonly rough: boolean
  /** Bounds of the time before the next attempt to connect, in ms. */
  readonly again: readonly [number, number]
  /** Changes what an instance says of its positions: what some mutants consist of. */
  readonly lie: ((body: unknown) => unknown) | undefined
  /** Called before a message reaches the instance. */
  readonly onMessage: () => void
}

interface Wire {
  readonly channel: Channel
  readonly connection: Connection
  up: boolean
}

let connections = 0

/** The link of one process to the server, over the simulated network. */
export function createSimLink(options: LinkOptions): Link {
  const { network, process, endpoint, rough, lie, onMessage } = options
  let listener: LinkListener | undefined
  let wire: Wire | undefined
  let closed = false
  const open = new Set<(error: Error) => void>()

  const again = () => {
    if (!closed) process.at(process.world.random.between(...options.again), connect)
  }

  const down = (lost: Wire, reason: string) => {
    if (wire !== lost) return
    wire = undefined
    for (const reject of [...open]) reject(new Error(reason))
    if (lost.up) listener?.disconnected(reason)
    again()
  }

  const { incarnation } = process
  const toClient = (to: Wire, what: string, run: () => void) => {
    const deliver = () => {
      if (wire !== to || process.incarnation !== incarnation) return
      onMessage()
      run()
    }
    if (rough) network.send(endpoint.process, process, () => what, deliver)
    else to.channel.toClient(() => `gets ${what}`, deliver)
  }

  function connect(): void {
    if (closed || wire !== undefined) return
    const channel = network.open(process, endpoint.process)
    const made: Wire = {
      channel,
      connection: {
        id: ++connections,
        client: process.name,
        tell: (event, body) => toClient(made, event, () => listener?.[event](body)),
      },
      up: false,
    }
    wire = made
    channel.onClientClosed = () => down(made, 'transport closed')
    channel.onServerClosed = () => endpoint.disconnected(made.connection)
    channel.toServer(
      () => `is called by ${process.name}`,
      () => {
        if (!endpoint.open) return channel.break()
        endpoint.connected(made.connection)
        channel.toClient(
          () => 'is connected',
          () => {
            if (wire !== made) return
            made.up = true
            listener?.connected()
          },
        )
      },
    )
  }

  return {
    get connected() {
      return wire?.up === true
    },
    open: (given) => {
      listener = given
      connect()
    },
    request: (event, given, timeoutMs) =>
      new Promise((resolve, reject) => {
        const on = wire
        if (on?.up !== true) return reject(new Error('not connected'))
        const body = lie === undefined ? given : lie(given)
        const settle = (end: () => void) => {
          open.delete(fail)
          timer.cancelled = true
          end()
        }
        const fail = (error: Error) => settle(() => reject(error))
        const timer = process.at(timeoutMs, () => fail(new Error('timed out')))
        open.add(fail)
        const take = () => {
          const answered = endpoint.take(on.connection, event, body)
          void answered.then((answer) => {
            if (answer !== undefined) toClient(on, `${event} answered`, () => settle(() => resolve(answer)))
          })
        }
        if (rough) network.send(process, endpoint.process, () => `${event} ${show(body)}`, take)
        else on.channel.toServer(() => `gets ${event} ${show(body)} from ${process.name}`, take)
      }),
    close: () => {
      closed = true
      wire?.channel.close()
      wire = undefined
    },
  }
}

function show(body: unknown): string {
  if (typeof body !== 'object' || body === null || !('positions' in body)) return ''
  return JSON.stringify(body.positions)
}
