import { type ReactNode, useId } from 'react'
import { Icon, type IconName } from './icon.tsx'

export interface ButtonProps {
  readonly children?: ReactNode
  readonly kind?: 'plain' | 'primary' | 'danger' | 'danger-line' | 'quiet'
  readonly icon?: IconName
  readonly compact?: boolean
  readonly type?: 'button' | 'submit'
  readonly busy?: boolean
  /** Why it may not be pressed now. It stays in the order of the keyboard, and says why. */
  readonly whyNot?: string | undefined
  readonly onPress?: () => void
  /** Where the words on it do not say enough by themselves. */
  readonly label?: string | undefined
}

export function Button(props: ButtonProps) {
  const { children, kind = 'plain', icon, compact = false, busy = false, whyNot, onPress, label } = props
  const id = useId()
  const button = (
    <button
      type={props.type ?? 'button'}
      className={`button ${kind}${compact ? ' compact' : ''}`}
      aria-disabled={whyNot !== undefined || undefined}
      aria-busy={busy || undefined}
      aria-label={label}
      aria-describedby={whyNot === undefined ? undefined : id}
      onClick={(event) => {
        if (whyNot !== undefined || busy) event.preventDefault()
        else onPress?.()
      }}
    >
      {icon !== undefined && <Icon name={icon} />}
      {children}
    </button>
  )
  if (whyNot === undefined) return button
  return (
    <span className="why-not" data-why={whyNot}>
      {button}
      <span id={id} className="hidden-text">
        Not now: {whyNot}
      </span>
    </span>
  )
}
