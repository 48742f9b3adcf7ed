interface MeterProps {
  readonly value: number
  readonly max: number
  /** A second figure, drawn paler beneath. */
  readonly under?: number
  readonly tone?: 'plain' | 'warn'
}

/** A share as a bar; the figure itself stands beside it as text. */
export function Meter({ value, max, under, tone = 'plain' }: MeterProps) {
  const share = (part: number) => `${max <= 0 ? 0 : Math.min(100, (100 * part) / max)}%`
  return (
    <div className={`meter ${tone}`} aria-hidden="true">
      {under !== undefined && <span className="under" style={{ width: share(under) }} />}
      <span style={{ width: share(value) }} />
    </div>
  )
}
