import type { SimProcess } from './process.ts'
import type { World } from './world.ts'

export interface NetworkOptions {
  /** Bounds of the time that a message takes, in ms. */
  readonly delay: readonly [number, number]
  /** Probability that a message takes `slow` instead: what reorders messages. */
  readonly slowChance: number
  readonly slow: readonly [number, number]
  /** For datagrams only: a channel delivers once and in order, or breaks. */
  readonly loss: number
  readonly duplication: number
  /** Time until an end is told that its channel broke or that its peer is gone. */
  readonly notice: readonly [number, number]
}

/** A network that does no harm: for checks of the parts. */
export const QUIET: NetworkOptions = {
  delay: [0, 0],
  slowChance: 0,
  slow: [0, 0],
  loss: 0,
  duplication: 0,
  notice: [0, 0],
}

const pair = (a: SimProcess, b: SimProcess): string =>
  a.name < b.name ? `${a.name}|${b.name}` : `${b.name}|${a.name}`

export class Network {
  readonly world: World
  options: NetworkOptions
  readonly #parted = new Set<string>()
  readonly #channels = new Set<Channel>()

  constructor(world: World, options: NetworkOptions) {
    this.world = world
    this.options = options
  }

  travelTime(): number {
    const { random } = this.world
    const { delay, slow, slowChance } = this.options
    return random.chance(slowChance) ? random.between(...slow) : random.between(...delay)
  }

  noticeTime(): number {
    return this.world.random.between(...this.options.notice)
  }

  reaches(a: SimProcess, b: SimProcess): boolean {
    return !this.#parted.has(pair(a, b))
  }

  /** Sends one message that may be lost, doubled, late and overtaken. */
  send(from: SimProcess, to: SimProcess, what: () => string, deliver: () => void): void {
    const { random } = this.world
    const copies = random.chance(this.options.duplication) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      if (random.chance(this.options.loss)) continue
      this.world.at(this.travelTime(), () => {
        // Which incarnation takes it is decided on arrival: a message may outlive a restart.
        if (!this.reaches(from, to) || !to.up) return
        to.at(0, () => {
          this.world.note(to.name, () => `gets ${what()} from ${from.name}`)
          deliver()
        })
      })
    }
  }

  /** Opens an ordered channel; messages are handed to the ends as functions to run there. */
  open(client: SimProcess, server: SimProcess): Channel {
    const channel = new Channel(this, client, server, () => this.#channels.delete(channel))
    this.#channels.add(channel)
    if (!server.up) channel.break()
    return channel
  }

  /** Nothing passes between the two until `heal`; what was sent on channels arrives then, if they still stand. */
  part(a: SimProcess, b: SimProcess): void {
    if (this.#parted.has(pair(a, b))) return
    this.world.note('network', () => `parts ${a.name} from ${b.name}`)
    this.#parted.add(pair(a, b))
  }

  heal(a: SimProcess, b: SimProcess): void {
    if (!this.#parted.delete(pair(a, b))) return
    this.world.note('network', () => `heals between ${a.name} and ${b.name}`)
    for (const channel of [...this.#channels]) if (channel.joins(a, b)) channel.flush()
  }

  /** Breaks every channel between the two. */
  cut(a: SimProcess, b: SimProcess): void {
    for (const channel of [...this.#channels]) if (channel.joins(a, b)) channel.break()
  }
}

interface Message {
  readonly what: () => string
  readonly run: () => void
}

/** One direction of a channel. An arrival takes whatever is first, so that nothing overtakes. */
class Lane {
  readonly messages: Message[] = []
  lastArrival = 0
  /** Arrivals that a partition holds up. */
  held = 0
  closed = false
}

/** A connection: delivers once and in order until it is closed or breaks; then both ends are told, each later. */
export class Channel {
  readonly #network: Network
  readonly #client: SimProcess
  readonly #server: SimProcess
  readonly #lanes: { readonly toServer: Lane; readonly toClient: Lane } = {
    toServer: new Lane(),
    toClient: new Lane(),
  }
  readonly #forget: () => void
  readonly #stopWatching: readonly (() => void)[]
  #broken = false
  onClientClosed: () => void = () => {}
  onServerClosed: () => void = () => {}

  constructor(network: Network, client: SimProcess, server: SimProcess, forget: () => void) {
    this.#network = network
    this.#client = client
    this.#server = server
    this.#forget = forget
    this.#stopWatching = [
      // The kernel of a dead process still delivers what it was given, then says that the end has come.
      client.onCrash(() => {
        // Nothing is given to whoever is started in its place.
        const { toClient } = this.#lanes
        toClient.closed = true
        toClient.messages.length = 0
        this.#finish('toServer')
      }),
      server.onCrash(() => this.break()),
    ]
  }

  joins(a: SimProcess, b: SimProcess): boolean {
    return (this.#client === a && this.#server === b) || (this.#client === b && this.#server === a)
  }

  toServer(what: () => string, run: () => void): void {
    this.#send('toServer', { what, run })
  }

  toClient(what: () => string, run: () => void): void {
    this.#send('toClient', { what, run })
  }

  /** The client closes in good order: what it sent before arrives. */
  close(): void {
    this.#finish('toServer')
  }

  /** The connection is cut: what is under way is lost, and each end finds out later. */
  break(): void {
    if (this.#broken) return
    this.#dispose()
    const { world } = this.#network
    world.note('network', () => `breaks ${this.#client.name} - ${this.#server.name}`)
    if (this.#server.up) this.#server.at(this.#network.noticeTime(), () => this.onServerClosed())
    if (this.#client.up) this.#client.at(this.#network.noticeTime(), () => this.onClientClosed())
  }

  /** Delivers what a partition has held up. */
  flush(): void {
    for (const direction of ['toServer', 'toClient'] as const) {
      const lane = this.#lanes[direction]
      for (; lane.held > 0; lane.held--) this.#scheduleArrival(direction)
    }
  }

  #send(direction: 'toServer' | 'toClient', message: Message): void {
    const lane = this.#lanes[direction]
    if (this.#broken || lane.closed) return
    lane.messages.push(message)
    this.#scheduleArrival(direction)
  }

  #scheduleArrival(direction: 'toServer' | 'toClient'): void {
    const lane = this.#lanes[direction]
    const network = this.#network
    const { world } = network
    const to = direction === 'toServer' ? this.#server : this.#client
    lane.lastArrival = Math.max(world.now + network.travelTime(), lane.lastArrival)
    to.at(lane.lastArrival - world.now, () => {
      if (this.#broken) return
      if (!network.reaches(this.#client, this.#server)) {
        lane.held++
        return
      }
      const message = lane.messages.shift()
      if (message === undefined) return
      world.note(to.name, message.what)
      message.run()
    })
  }

  #finish(direction: 'toServer'): void {
    if (this.#broken) return
    this.#send(direction, {
      what: () => `sees the end of ${this.#client.name}`,
      run: () => {
        this.#dispose()
        this.#server.at(this.#network.noticeTime(), () => this.onServerClosed())
      },
    })
    this.#lanes[direction].closed = true
  }

  #dispose(): void {
    this.#broken = true
    for (const stop of this.#stopWatching) stop()
    this.#forget()
  }
}
