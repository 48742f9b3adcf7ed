import { Component, type ComponentType, lazy, type ReactNode, Suspense } from 'react'
import { Button } from '../ui/button.tsx'
import { Notice } from '../ui/notice.tsx'

/** A page that is fetched when it is first opened: who looks at the overview does not wait for it. */
export function lazyPage<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
): (props: Props) => ReactNode {
  const Page = lazy(async () => ({ default: await load() }))
  return (props) => (
    <Suspense fallback={<p className="second">Opening…</p>}>
      <Page {...props} />
    </Suspense>
  )
}

interface FailureProps {
  /** Another one, another try. */
  readonly place: string
  readonly children: ReactNode
}

interface FailureState {
  readonly place: string
  readonly error: Error | undefined
}

/** Where a page cannot be shown, the rest of the console goes on. */
export class Failure extends Component<FailureProps, FailureState> {
  override state: FailureState = { place: this.props.place, error: undefined }

  static getDerivedStateFromError(error: Error): Partial<FailureState> {
    return { error }
  }

  static getDerivedStateFromProps({ place }: FailureProps, before: FailureState): FailureState | null {
    return place === before.place ? null : { place, error: undefined }
  }

  override render(): ReactNode {
    const { error } = this.state
    if (error === undefined) return this.props.children
    // A server of another version has other files.
    const fetching = /import|fetch|module|load/i.test(error.message)
    return (
      <div className="stack">
        <h1>This page cannot be shown</h1>
        <Notice tone="bad" title={fetching ? 'A part of it could not be fetched' : error.message}>
          {fetching
            ? 'The server may be away, or of a newer version than this page. What is set and done is not touched by it.'
            : 'What is set and done is not touched by it.'}
        </Notice>
        <div>
          <Button kind="primary" icon="retry" onPress={() => location.reload()}>
            Load the console again
          </Button>
        </div>
      </div>
    )
  }
}
