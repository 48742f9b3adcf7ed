// For this tab only: what a browser keeps for longer, whoever sits down at it next has as well.
const KEY = 'switchback.token'

export const keptToken = (): string | undefined => sessionStorage.getItem(KEY) ?? undefined

/** Keeps the token until the tab is closed, or else only until the page is left. */
export function keepToken(token: string, keep: boolean): void {
  if (keep) sessionStorage.setItem(KEY, token)
  else forgetToken()
}

export const forgetToken = (): void => sessionStorage.removeItem(KEY)
