import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { freePort, type SpawnedProcess, spawnProcess, waitFor } from '@switchback/test/support'
import { type Binary, debianProgram } from '../support/debian-packages.ts'

export interface MonitoringBinaries {
  readonly prometheus: Binary
  readonly alertmanager: Binary
}

/** Both programs, installed or Debian's; undefined, loudly, where they cannot be had. */
export async function monitoringBinaries(): Promise<MonitoringBinaries | undefined> {
  const debian = (name: string) => debianProgram({ name, packages: [name], path: join('usr', 'bin', name) })
  try {
    return {
      prometheus: await debian('prometheus'),
      alertmanager: await debian('prometheus-alertmanager'),
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    process.stderr.write(
      `\n!!! SKIPPED: no prometheus and prometheus-alertmanager on PATH, and Debian's cannot be fetched.\n!!! ${reason}\n\n`,
    )
    return undefined
  }
}

export interface Running {
  readonly url: string
  stop(): Promise<void>
}

async function run(
  binary: Binary,
  files: Readonly<Record<string, string>>,
  args: (folder: string, address: string) => readonly string[],
  ready: string,
): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'switchback-monitoring-'))
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  const { file, env } = movable(binary, folder)
  const address = `127.0.0.1:${await freePort()}`
  const url = `http://${address}`
  const process: SpawnedProcess = spawnProcess(file, args(folder, address), { env, cwd: folder })
  await waitFor(() => fetch(url + ready).then((response) => response.ok), {
    what: `${file} to be ready`,
    timeoutMs: 20_000,
  }).catch((cause: unknown) => {
    throw new Error(`${file} did not start: ${process.output()}`, { cause })
  })
  return {
    url,
    stop: async () => {
      await process.kill('SIGTERM')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const TEMPLATES = '/usr/share/prometheus/alertmanager'

/**
 * Debian's Alertmanager wants its templates in a folder that only root can write to. Where it was unpacked instead,
 * a copy is started in which that folder is the one it works in: a path of the same length, all slashes but the dot.
 */
function movable({ file, env }: Binary, folder: string): Binary {
  const unpacked = join(dirname(file), '..', '..', TEMPLATES)
  if (existsSync(TEMPLATES) || !existsSync(unpacked)) return { file, env }
  const program = readFileSync(file)
  const here = `.${'/'.repeat(TEMPLATES.length - 1)}`
  for (let at = program.indexOf(TEMPLATES); at >= 0; at = program.indexOf(TEMPLATES, at + 1)) {
    program.write(here, at, 'latin1')
  }
  const copy = join(folder, 'alertmanager')
  writeFileSync(copy, program)
  chmodSync(copy, 0o755)
  for (const name of ['default.tmpl', 'email.tmpl']) cpSync(join(unpacked, name), join(folder, name))
  return { file: copy, env }
}

/** An Alertmanager that delivers to `url`, at once, and again every second. */
export const startAlertmanager = (binary: Binary, url: string, token: string): Promise<Running> =>
  run(
    binary,
    {
      'alertmanager.yml': JSON.stringify({
        route: {
          receiver: 'switchback',
          group_by: ['alertname', 'migration'],
          group_wait: '0s',
          group_interval: '1s',
          repeat_interval: '1s',
        },
        receivers: [
          {
            name: 'switchback',
            webhook_configs: [
              { url, send_resolved: true, http_config: { authorization: { credentials: token } } },
            ],
          },
        ],
      }),
    },
    (folder, address) => [
      `--config.file=${folder}/alertmanager.yml`,
      `--storage.path=${folder}/data`,
      `--web.listen-address=${address}`,
      '--cluster.listen-address=',
    ],
    '/-/ready',
  )

const LABELS = 'migration, epoch, path, operation'
const rate = (name: string): string => `sum by (${LABELS}) (rate(${name}{path="new"}[5s]))`

/** A Prometheus that scrapes these paths of one address, and alerts where new fails. */
export const startPrometheus = (
  binary: Binary,
  target: string,
  paths: readonly string[],
  alertmanager: string,
): Promise<Running> =>
  run(
    binary,
    {
      'rules.yml': JSON.stringify({
        groups: [
          {
            name: 'switchback',
            rules: [
              {
                alert: 'NewPathErrorRate',
                expr: `${rate('switchback_errors_total')} / ${rate('switchback_operations_total')} > 0.02`,
                for: '1s',
                labels: { severity: 'critical' },
                annotations: { summary: 'new fails {{ $value | humanizePercentage }} of operations' },
              },
            ],
          },
        ],
      }),
      'prometheus.yml': JSON.stringify({
        global: { scrape_interval: '1s', evaluation_interval: '1s' },
        rule_files: ['rules.yml'],
        alerting: { alertmanagers: [{ static_configs: [{ targets: [new URL(alertmanager).host] }] }] },
        scrape_configs: [
          {
            job_name: 'rides-api',
            static_configs: paths.map((path) => ({
              targets: [target],
              labels: { __metrics_path__: path, instance: path },
            })),
          },
        ],
      }),
    },
    (folder, address) => [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=${address}`,
    ],
    '/-/ready',
  )
