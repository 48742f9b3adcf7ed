export { chromiumPath, provideChromium } from './chromium.ts'
export { type DebianPostgres, debianPostgres } from './debian-postgres.ts'
export { freePort } from './free-port.ts'
export {
  commandsIn,
  type Page,
  pageOf,
  pages,
  REPOSITORY,
  type Snippet,
  wordsOf,
} from './markdown.ts'
export { type ObjectStore, objectStore } from './object-store.ts'
export { type OpenIdProvider, type OpenIdProviderOptions, openIdProvider } from './openid-provider.ts'
export { pgbenchBinary } from './pgbench-binary.ts'
export { type RedisServer, redisServer } from './redis-server.ts'
export { type SpawnedProcess, type SpawnOptions, spawnNode, spawnProcess } from './spawn-node.ts'
export { streamingReplica } from './streaming-replica.ts'
export { type TcpProxy, tcpProxy } from './tcp-proxy.ts'
export {
  type DatabaseTemplate,
  postgresUrl,
  type TestDatabase,
  testDatabase,
  testOn,
} from './test-database.ts'
export { type TestStore, testStore } from './test-store.ts'
export { type WaitOptions, waitFor } from './wait-for.ts'
export { type Watchdog, watchdog } from './watchdog.ts'
