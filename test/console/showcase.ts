import type { Scene } from './scene.ts'
import type { Made } from './scenery.ts'

const RAMP = `rollout:
  - { canary: 1, soak: 0s }
  - { share: 10%, soak: 0s }
  - { share: 50%, soak: 2h }
  - { share: 100%, soak: 1d }
tripwires:
  - { watch: error-rate, path: new, above: 2%, window: 1m, samples: 200, do: revert }
  - { watch: latency-p99, path: new, above: 3x old, window: 5m, samples: 2000, do: notify }
  - { watch: mismatch-rate, above: 0.01%, window: 10m, samples: 10000, do: pause }
retire: { after: 7d }
contract: { after: 14d, approvals: 1 }
`

const PROFILES: Made = {
  id: 'user-profiles',
  title: 'Profile columns of users move to their own table',
  team: 'riders',
  rows: 20_000,
  more: `${RAMP}apps: [rides-api]\n`,
}
const RECEIPTS: Made = {
  id: 'trip-receipts',
  title: 'Receipts of trips get a table of their own',
  team: 'billing',
  rows: 5_000,
  more: RAMP,
}
const BALANCES: Made = {
  id: 'driver-balances',
  title: 'Balances of drivers become numeric',
  team: 'payments',
  rows: 5_000,
  more: 'retire: { after: 7d }\n',
}
const ADDRESSES: Made = {
  id: 'rider-addresses',
  title: 'Addresses of riders are normalised',
  team: 'riders',
  rows: 1_000_000,
  copying: '  throttle: { rowsPerSecond: 900 }\n',
}
const ZONES: Made = { id: 'geo-zones', title: 'Zones move to their own schema', team: 'maps', rows: 500 }
const COUPONS: Made = {
  id: 'coupon-ledger',
  title: 'Coupons are booked in a ledger',
  team: 'billing',
  rows: 800,
}

/** Migrations in many phases, one of them reverted by an alert: what the screenshots show. */
export async function stageShowcase(scene: Scene): Promise<void> {
  const all = [PROFILES, RECEIPTS, BALANCES, ADDRESSES, ZONES, COUPONS]
  for (const made of all) await scene.register(made)
  for (const letter of ['a', 'b', 'c', 'd'])
    await scene.addApplication(`rides-api-${letter}`, [PROFILES, ADDRESSES])
  for (const letter of ['a', 'b']) {
    await scene.addApplication(`billing-${letter}`, [RECEIPTS, BALANCES, ZONES], 'billing')
  }
  for (const application of scene.applications) application.traffic(6)
  await Promise.all([
    scene.advance('user-profiles', 'ramp', 0.5),
    scene.advance('trip-receipts', 'ramp', 0.5),
    scene.advance('driver-balances', 'promoted'),
    scene.advance('rider-addresses', 'backfill'),
    scene.advance('geo-zones', 'dual-write'),
  ])
  await scene.service.call('POST', '/v1/alerts', {
    migration: 'trip-receipts',
    errorRate: 0.072,
    samples: 1830,
    window: '1m',
  })
  await scene.service.call('POST', '/v1/alerts', {
    migration: 'user-profiles',
    errorRate: 0.004,
    samples: 2410,
    window: '1m',
  })
}
