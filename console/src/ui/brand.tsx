/** The mark: a path that goes up by turning round. */
export function Brand() {
  return (
    <span className="brand">
      <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
        <rect width="32" height="32" rx="8" fill="var(--accent)" />
        <path
          d="M8 23h13a4 4 0 0 0 0-8H11a3 3 0 0 1 0-6h12m-3.5-3.5L23.5 9 20 12.5"
          fill="none"
          stroke="var(--on-accent)"
          strokeWidth="2.8"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      </svg>
      <strong>Switchback</strong>
    </span>
  )
}
