import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { type ReactNode, useEffect, useRef, useState } from 'react'

interface VirtualListProps<Item> {
  readonly items: readonly Item[]
  readonly keyOf: (item: Item) => string
  /** Height of a row in pixels, until it has been measured. */
  readonly estimate: number
  /** How many there are in all, those that have not been asked for yet included. */
  readonly total: number
  readonly hasMore: boolean
  readonly onMore: () => void
  readonly render: (item: Item) => ReactNode
}

/** A list of any length: only what can be seen is on the page, and only what was scrolled to is asked for. */
export function VirtualList<Item>(props: VirtualListProps<Item>) {
  const { items, keyOf, estimate, total, hasMore, onMore, render } = props
  const list = useRef<HTMLUListElement>(null)
  const [top, setTop] = useState(0)
  // After each rendering: what stands above may have grown.
  useEffect(() => {
    const box = list.current?.getBoundingClientRect()
    if (box !== undefined) setTop(Math.round(box.top + window.scrollY))
  })
  const virtualizer = useWindowVirtualizer({
    count: items.length,
    estimateSize: () => estimate,
    getItemKey: (index) => {
      const item = items[index]
      return item === undefined ? index : keyOf(item)
    },
    overscan: 6,
    scrollMargin: top,
  })
  const shown = virtualizer.getVirtualItems()
  const last = shown.at(-1)?.index ?? 0
  useEffect(() => {
    if (hasMore && last >= items.length - 10) onMore()
  }, [hasMore, last, items.length, onMore])
  return (
    <ul ref={list} className="virtual-list" style={{ height: virtualizer.getTotalSize() }}>
      {shown.map(({ key, index, start }) => {
        const item = items[index]
        return item === undefined ? null : (
          <li
            key={key}
            ref={virtualizer.measureElement}
            data-index={index}
            aria-posinset={index + 1}
            aria-setsize={total}
            style={{ transform: `translateY(${start - top}px)` }}
          >
            {render(item)}
          </li>
        )
      })}
    </ul>
  )
}
