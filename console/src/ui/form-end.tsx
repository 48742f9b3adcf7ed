import { Button } from './button.tsx'
import { Trouble } from './notice.tsx'

interface FormEndProps {
  readonly verb: string
  readonly busy: boolean
  /** What is missing yet. */
  readonly whyNot: string | undefined
  /** What the server said to it. */
  readonly error: unknown
  readonly onClose: () => void
}

/** The end of a form in a dialog: what was refused, the way out, and the way on. */
export const FormEnd = ({ verb, busy, whyNot, error, onClose }: FormEndProps) => (
  <>
    <Trouble error={error} />
    <div className="actions">
      <Button onPress={onClose}>Cancel</Button>
      <Button kind="primary" type="submit" busy={busy} whyNot={whyNot}>
        {verb}
      </Button>
    </div>
  </>
)
