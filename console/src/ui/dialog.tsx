import { Dialog as Base } from '@base-ui/react/dialog'
import type { ReactNode } from 'react'
import { Icon } from './icon.tsx'
import './dialog.css'

interface DialogProps {
  readonly open: boolean
  readonly onClose: () => void
  readonly title: string
  readonly tone?: 'plain' | 'danger'
  /** For tables. */
  readonly wide?: boolean
  readonly children: ReactNode
}

/** Holds the keyboard until it is closed, and gives the focus back to where it came from. */
export function Dialog({ open, onClose, title, tone = 'plain', wide = false, children }: DialogProps) {
  return (
    <Base.Root open={open} onOpenChange={(next) => (next ? undefined : onClose())}>
      <Base.Portal>
        <Base.Backdrop className="dialog-backdrop" />
        <Base.Popup className={`dialog ${tone}${wide ? ' wide' : ''}`}>
          <header>
            <Base.Title>{title}</Base.Title>
            <Base.Close className="button quiet compact" aria-label="Close">
              <Icon name="cross" />
            </Base.Close>
          </header>
          {children}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  )
}
