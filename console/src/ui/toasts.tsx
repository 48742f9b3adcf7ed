import { createContext, type ReactNode, useCallback, useContext, useState } from 'react'
import { Icon } from './icon.tsx'
import './toasts.css'

type Say = (text: string) => void

const ToastContext = createContext<Say>(() => {})
export const useToast = (): Say => useContext(ToastContext)

const SHOWN_MS = 6_000

/** Tells what was done, and goes by itself. */
export function ToastProvider({ children }: { readonly children: ReactNode }) {
  const [toasts, setToasts] = useState<readonly { readonly id: number; readonly text: string }[]>([])
  const say = useCallback<Say>((text) => {
    const id = performance.now()
    setToasts((now) => [...now.slice(-2), { id, text }])
    setTimeout(() => setToasts((now) => now.filter((toast) => toast.id !== id)), SHOWN_MS)
  }, [])
  return (
    <ToastContext value={say}>
      {children}
      <div className="toasts" role="status" aria-live="polite">
        {toasts.map((toast) => (
          <p key={toast.id}>
            <Icon name="check" />
            {toast.text}
          </p>
        ))}
      </div>
    </ToastContext>
  )
}
