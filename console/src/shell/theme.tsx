import { useEffect, useState } from 'react'
import { Button } from '../ui/button.tsx'

type Theme = 'system' | 'light' | 'dark'
const KEY = 'switchback.theme'
const NEXT: Readonly<Record<Theme, Theme>> = { system: 'light', light: 'dark', dark: 'system' }
const ICONS = { system: 'screen', light: 'sun', dark: 'moon' } as const

function kept(): Theme {
  const found = localStorage.getItem(KEY)
  return found === 'light' || found === 'dark' ? found : 'system'
}

export function ThemeChoice() {
  const [theme, setTheme] = useState<Theme>(kept)
  useEffect(() => {
    const root = document.documentElement
    if (theme === 'system') delete root.dataset.theme
    else root.dataset.theme = theme
    localStorage.setItem(KEY, theme)
  }, [theme])
  return (
    <span className="theme-choice">
      <Button
        kind="quiet"
        compact
        icon={ICONS[theme]}
        onPress={() => setTheme(NEXT[theme])}
        label={`Colours: ${theme}. Change to ${NEXT[theme]}`}
      />
    </span>
  )
}
