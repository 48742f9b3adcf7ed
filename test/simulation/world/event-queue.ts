/** In whose name events happen. */
export interface EventOwner {
  readonly incarnation: number
  /** Takes nothing at present: what is due is handed to `missed` instead. */
  readonly stopped: boolean
  missed(event: SimEvent): void
}

/** Something that will happen at a virtual time. */
export interface SimEvent {
  time: number
  /** Decides between events of the same time: drawn from the seed. */
  tie: number
  readonly run: () => void
  /** In whose name it happens: it waits while the owner is stopped, and is dropped once the owner is gone. */
  readonly owner: EventOwner | undefined
  readonly incarnation: number
  cancelled: boolean
}

const before = (a: SimEvent, b: SimEvent): boolean => a.time < b.time || (a.time === b.time && a.tie < b.tie)

/** A binary heap of events, earliest first. */
export class EventQueue {
  readonly #heap: SimEvent[] = []

  get size(): number {
    return this.#heap.length
  }

  push(event: SimEvent): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent] as SimEvent
      if (!before(event, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = event
  }

  pop(): SimEvent | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || first === last) return first
    const size = heap.length
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      const right = child + 1
      if (right < size && before(heap[right] as SimEvent, heap[child] as SimEvent)) child = right
      const below = heap[child] as SimEvent
      if (!before(below, last)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
    return first
  }
}
