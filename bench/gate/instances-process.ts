import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { FromInstances, InstancesSettings, ToInstances } from './messages.ts'

type Of<Type extends FromInstances['type']> = Extract<FromInstances, { type: Type }>

export interface InstancesProcess {
  readonly pid: number
  readonly joined: Promise<void>
  /** When the first instance had acked this epoch. */
  first(epoch: number): Promise<number>
  /** When the last instance had acked this epoch. */
  epoch(epoch: number): Promise<number>
  /** When each instance was back after the next loss of the server. */
  back(): Promise<readonly number[]>
  /** Sets what every instance writes; resolves to the time of the first failing call where they fail. */
  traffic(perSecond: number, fails: boolean): Promise<number | undefined>
  end(): Promise<void>
}

export function startInstances(settings: InstancesSettings): InstancesProcess {
  const child: ChildProcess = fork(fileURLToPath(new URL('instances.js', import.meta.url)), [], {
    env: { ...process.env, BENCH_INSTANCES: JSON.stringify(settings) },
    execArgv: ['--max-old-space-size=4096'],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let errors = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4_000)
  })
  const next = <Type extends FromInstances['type']>(
    type: Type,
    fits: (message: Of<Type>) => boolean = () => true,
  ): Promise<Of<Type>> =>
    new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error(`a process of instances ended:\n${errors}`))
      const look = (message: FromInstances): void => {
        if (message.type !== type || !fits(message as Of<Type>)) return
        child.off('message', look)
        child.off('exit', ended)
        resolve(message as Of<Type>)
      }
      child.on('message', look)
      child.once('exit', ended)
    })
  child.setMaxListeners(50)
  const joined = next('joined').then(() => undefined)
  joined.catch(() => undefined)
  return {
    pid: child.pid ?? 0,
    joined,
    first: async (epoch) => (await next('first', (message) => message.epoch === epoch)).at,
    epoch: async (epoch) => (await next('epoch', (message) => message.epoch === epoch)).at,
    back: async () => (await next('back')).times,
    traffic: async (perSecond, fails) => {
      const failed = fails ? next('failed') : undefined
      child.send({ type: 'traffic', perSecond, fails } satisfies ToInstances)
      return (await failed)?.at
    },
    end: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.send({ type: 'end' } satisfies ToInstances)
      await exited
    },
  }
}
