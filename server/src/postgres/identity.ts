import { spawnSync } from 'node:child_process'
import { chownSync, lchownSync, lstatSync, readdirSync, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'

export interface UserIds {
  readonly uid: number
  readonly gid: number
}

/**
 * As whom PostgreSQL runs. It refuses root, so a server that was started by root either hands its
 * processes to another user, or lets them run in a user namespace where root goes by another id:
 * outside it is still root, and so reaches folders such as /root that only root may enter.
 */
export type Identity =
  | { readonly kind: 'self' }
  | { readonly kind: 'user'; readonly ids: UserIds }
  | { readonly kind: 'namespace'; readonly ids: UserIds }

/** The user "nobody" everywhere; no account has to be created. */
export const NOBODY: UserIds = { uid: 65534, gid: 65534 }
const ROOT: UserIds = { uid: 0, gid: 0 }

export const isRoot = (): boolean => process.getuid?.() === 0

/** Whether a process with these ids may pass through every folder above and including `path`. */
export function canReach(path: string, ids: UserIds): boolean {
  for (let folder = path; ; folder = dirname(folder)) {
    const stat = statSync(folder, { throwIfNoEntry: false })
    if (stat) {
      const bit = stat.uid === ids.uid ? 0o100 : stat.gid === ids.gid ? 0o010 : 0o001
      if ((stat.mode & bit) === 0) return false
    }
    if (folder === dirname(folder)) return true
  }
}

/** The command line that runs `file` as `identity`; `ids` are for spawn's uid and gid. */
export function commandFor(
  identity: Identity,
  file: string,
  args: readonly string[],
): { file: string; args: string[]; ids: { uid?: number; gid?: number } } {
  if (identity.kind === 'namespace') return { file: 'unshare', args: [...NAMESPACE, file, ...args], ids: {} }
  return { file, args: [...args], ids: identity.kind === 'user' ? { ...identity.ids } : {} }
}

const NAMESPACE = ['--user', `--map-user=${NOBODY.uid}`, `--map-group=${NOBODY.gid}`, '--']

/** User namespaces need util-linux 2.36 and a kernel (or container) that allows them: so it is tried. */
export function namespacesWork(): boolean {
  const tried = spawnSync('unshare', [...NAMESPACE, 'id', '-u'], { encoding: 'utf8' })
  return tried.status === 0 && tried.stdout.trim() === String(NOBODY.uid)
}

/** With whose rights on files `identity` runs, seen from outside of a namespace. */
export function idsOf(identity: Identity): UserIds | undefined {
  return identity.kind === 'self' ? undefined : identity.ids
}

/**
 * Picks an identity that can reach `dataDir`, or undefined where none can. Who owns the folder already
 * comes first: the files of a person whose server was once started with sudo stay that person's.
 */
export function chooseIdentity(dataDir: string): Identity | undefined {
  if (!isRoot()) return ordinaryIdentity()
  const parent = dirname(dataDir)
  const present = statSync(dataDir, { throwIfNoEntry: false })
  const users = [present, NOBODY, statSync(nearestFolder(parent))].filter(
    (ids) => ids !== undefined && ids.uid !== 0,
  )
  for (const ids of users) {
    if (ids && canReach(parent, ids)) return { kind: 'user', ids: { uid: ids.uid, gid: ids.gid } }
  }
  return canReach(parent, ROOT) && namespacesWork() ? { kind: 'namespace', ids: ROOT } : undefined
}

/** initdb wants its user to have a name, which the arbitrary user ids of some container platforms have not. */
function ordinaryIdentity(): Identity {
  const uid = process.getuid?.()
  if (uid === undefined || hasAccount() || !namespacesWork()) return { kind: 'self' }
  return { kind: 'namespace', ids: { uid, gid: process.getgid?.() ?? uid } }
}

function hasAccount(): boolean {
  try {
    return userInfo().uid >= 0
  } catch {
    return false
  }
}

function nearestFolder(path: string): string {
  return statSync(path, { throwIfNoEntry: false }) ? path : nearestFolder(dirname(path))
}

/** Hands `folder` and all below to `owner`; nothing is done where it has it already. */
export function giveTo(folder: string, owner: UserIds | undefined): void {
  if (!owner || lstatSync(folder).uid === owner.uid) return
  // The folder itself comes last, so that a start that was cut off half-way does the whole again.
  for (const name of readdirSync(folder)) giveAllTo(join(folder, name), owner)
  chownSync(folder, owner.uid, owner.gid)
}

function giveAllTo(path: string, owner: UserIds): void {
  if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) giveAllTo(join(path, name), owner)
  lchownSync(path, owner.uid, owner.gid)
}

/** Where root acts in another user's data folder, what it adds must stay usable for that user. */
export function leaveTo(path: string, dataDir: string): void {
  if (!isRoot()) return
  const owner = statSync(dataDir)
  chownSync(path, owner.uid, owner.gid)
}
