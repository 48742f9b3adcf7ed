import { type ReactNode, useEffect } from 'react'

interface PageProps {
  readonly title: string
  readonly about?: ReactNode
  readonly actions?: ReactNode
  readonly children: ReactNode
}

/** A page with its heading; the title of the window follows it. */
export function Page({ title, about, actions, children }: PageProps) {
  useTitle(title)
  return (
    <>
      <div className="page-head">
        <div className="stack-s">
          <h1>{title}</h1>
          {about !== undefined && <p>{about}</p>}
        </div>
        {actions}
      </div>
      {children}
    </>
  )
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Switchback`
  }, [title])
}

/** Said where there is nothing yet, with what would bring it. */
export const Nothing = ({ title, children }: { readonly title: string; readonly children?: ReactNode }) => (
  <div className="nothing">
    <strong>{title}</strong>
    {children !== undefined && <p className="second">{children}</p>}
  </div>
)
