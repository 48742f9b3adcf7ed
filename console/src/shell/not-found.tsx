import { Link } from 'wouter'

export const NotFound = () => (
  <div className="stack">
    <h1>There is no such page</h1>
    <p>
      <Link href="/">To the overview</Link>
    </p>
  </div>
)
