import type { ReactNode } from 'react'
import { Icon, type IconName } from './icon.tsx'

export type Tone = 'idle' | 'ok' | 'warn' | 'bad' | 'info' | 'old' | 'new'

/** A state in a word, with a shape of its own: nobody has to tell it by the colour. */
export function Chip({
  tone = 'idle',
  icon,
  children,
}: {
  readonly tone?: Tone
  readonly icon?: IconName
  readonly children: ReactNode
}) {
  return (
    <span className={`chip ${tone}`}>
      {icon !== undefined && <Icon name={icon} size={12} />}
      {children}
    </span>
  )
}
