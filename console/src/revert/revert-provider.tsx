import { createContext, type ReactNode, useContext, useState } from 'react'
import type { Phase } from '../migration/words.ts'
import { useSession } from '../session/session.tsx'
import { Button } from '../ui/button.tsx'
import { RevertDialog } from './revert-dialog.tsx'

interface Asked {
  readonly migration: string
  readonly phase: Phase
  readonly revertsTo: Phase | undefined
}

const RevertContext = createContext<(asked: Asked) => void>(() => {})

/** One dialog for the whole console: the way back is the same from everywhere. */
export function RevertProvider({ children }: { readonly children: ReactNode }) {
  const [asked, setAsked] = useState<Asked | undefined>()
  return (
    <RevertContext value={setAsked}>
      {children}
      {asked !== undefined && (
        <RevertDialog key={asked.migration} {...asked} onClose={() => setAsked(undefined)} />
      )}
    </RevertContext>
  )
}

interface RevertButtonProps extends Asked {
  readonly compact?: boolean
  readonly strong?: boolean
  /** Work of the schema that is under way: it can be called off even where no phase lies behind. */
  readonly underWay?: boolean
}

/** Why nothing can be reverted from here; undefined where something can. */
function whyNothing({ phase, revertsTo, underWay = false }: RevertButtonProps): string | undefined {
  if (phase === 'contracted') return 'Old is gone; restore it from the archive first.'
  if (revertsTo === undefined && !underWay)
    return 'Nothing has been changed yet, so there is nothing to revert.'
  return undefined
}

export function RevertButton(props: RevertButtonProps) {
  const { migration, phase, revertsTo, compact = false, strong = false } = props
  const open = useContext(RevertContext)
  const { whyNot } = useSession()
  return (
    <Button
      kind={strong ? 'danger' : 'danger-line'}
      icon="revert"
      compact={compact}
      whyNot={whyNothing(props) ?? whyNot('operate')}
      label={compact ? `Revert ${migration}` : undefined}
      onPress={() => open({ migration, phase, revertsTo })}
    >
      Revert
    </Button>
  )
}
