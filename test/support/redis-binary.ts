import { type Binary, debianProgram } from './debian-packages.ts'

/** A redis-server, installed or Debian's. Throws where neither can be had. */
export const redisBinary = (): Promise<Binary> =>
  debianProgram({
    name: 'redis-server',
    packages: ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1'],
    path: 'usr/bin/redis-server',
  })
