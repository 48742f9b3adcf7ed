import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { debianProgram } from './debian-packages.ts'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const PATH = 'usr/lib/chromium/chromium'

/** A Chromium of the system, or the one that CHROMIUM_PATH names. */
export const chromiumPath = (): string | undefined =>
  [process.env.CHROMIUM_PATH, ...PLACES].find((path) => path !== undefined && existsSync(path))

/**
 * Sees to it that there is a Chromium: the system's, or Debian's, unpacked into the user's cache folder, which
 * CHROMIUM_PATH then names for this process and those that it starts. Where neither can be had, why is said on
 * stderr.
 */
export async function provideChromium(): Promise<void> {
  if (chromiumPath() !== undefined) return
  try {
    const packages = ['chromium', 'fonts-dejavu-core']
    const { file, env } = await debianProgram({ name: 'chromium', packages, path: PATH, dependencies: true })
    // Found on PATH, it has its libraries already.
    process.env.CHROMIUM_PATH = file.endsWith(PATH)
      ? launcher(file.slice(0, -PATH.length - 1), file, env)
      : file
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    process.stderr.write(`Chromium of Debian cannot be had: ${reason}\n`)
  }
}

/** A script that starts it with its libraries and fonts: whoever starts it need not know where it came from. */
function launcher(root: string, file: string, env: Readonly<Record<string, string>>): string {
  const fonts = join(root, 'fonts.conf')
  const folders = ['/usr/share/fonts', join(root, 'usr/share/fonts')]
  writeFileSync(
    fonts,
    `<?xml version="1.0"?>\n<fontconfig>\n${folders.map((folder) => `  <dir>${folder}</dir>\n`).join('')}</fontconfig>\n`,
  )
  const script = join(root, 'chromium.sh')
  const exported = { ...env, FONTCONFIG_FILE: fonts }
  const lines = Object.entries(exported).map(([name, value]) => `export ${name}='${value}'\n`)
  writeFileSync(script, `#!/bin/sh\n${lines.join('')}exec '${file}' "$@"\n`)
  chmodSync(script, 0o755)
  return script
}
