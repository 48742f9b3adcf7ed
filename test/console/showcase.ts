import { waitFor } from '@switchback/test/support'
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
  copying: '  chunk: { min: 250, max: 250 }\n  throttle: { rowsPerSecond: 900, lockWaits: 3 }\n',
  unfit: [9_117, 9_118],
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
  await Promise.all([setUp(scene), stray(scene)])
  await Promise.all([
    scene.advance('user-profiles', 'ramp', 0.5),
    scene.advance('trip-receipts', 'ramp', 0.5),
    scene.advance('rider-addresses', 'backfill'),
    scene.advance('geo-zones', 'dual-write'),
  ])
  // Two that the copy has stumbled over; a later write of one of them is to be repaired, and cannot be.
  await scene.sql(`insert into switchback.repairs (migration, key, path, epoch, reason, queued_at, attempts, last_error)
    values ('rider-addresses', '9117', 'new', 3, 'the second write failed', now() - interval '7 minutes', 3,
      'new row for relation "rider_addresses_v2" violates check constraint "rider_addresses_v2_payload_check"')
    on conflict do nothing`)
  await scene.service.call('POST', '/v1/migrations/user-profiles/dry-run', {})
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

/** What an admin has set up before. */
async function setUp(scene: Scene): Promise<void> {
  const { call } = scene.service
  await call('POST', '/v1/alert-sources', { name: 'alertmanager-prod', kind: 'alertmanager' })
  await call('POST', '/v1/alert-sources', {
    name: 'grafana-riders',
    kind: 'grafana',
    migrations: ['user-profiles'],
  })
  await call('PUT', '/v1/targets/main/timing', {
    windows: ['Sun 02:00-05:00 Asia/Dhaka'],
    freezes: ['2026-12-20..2027-01-03 Asia/Dhaka'],
    reason: 'Nobody is here over the new year',
  })
  await call('POST', '/v1/flags', {
    key: 'profile-badges',
    description: 'Badges beside the name, read from the new table',
    rules: [
      { when: { attribute: 'country', in: ['BD'] }, variant: 'on' },
      { share: '10%', variant: 'on' },
    ],
    defaultVariant: 'off',
    requires: { migration: 'user-profiles', phase: 'ramp' },
  })
}

const worksOf = async (scene: Scene, id: string): Promise<readonly { readonly status: string }[]> =>
  (await scene.service.call<{ works: { status: string }[] }>('GET', `/v1/migrations/${id}/works`)).body.works

/** Somebody has written past the application: verification finds it, and mends it. */
async function stray(scene: Scene): Promise<void> {
  await scene.advance('driver-balances', 'backfill')
  await waitFor(async () => (await worksOf(scene, 'driver-balances'))[0]?.status === 'done', {
    what: 'the copy to end',
  })
  await scene.sql(`update driver_balances_v2 set payload = 'row 41 (by hand)' where id = 41;
    delete from driver_balances_v2 where id = 977;
    insert into driver_balances_v2 (id, payload) values (90001, 'left over')`)
  await scene.advance('driver-balances', 'promoted')
}
