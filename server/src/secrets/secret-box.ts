import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'

/** The secret was sealed with another key than this server has. */
export class WrongKeyError extends Error {
  override readonly name = 'WrongKeyError'
}

/** Keeps secrets that must be read again, such as those of signatures: the store holds them encrypted. */
export interface SecretBox {
  /** @param about what the secret belongs to; a sealed text moved to another place cannot be opened there */
  seal(secret: string, about: string): string
  /** @throws WrongKeyError where this server has another key */
  open(sealed: string, about: string): string
}

/**
 * AES-256-GCM under a key that is not in the store: who has a backup of the store alone has no secret.
 *
 * @param material at least 16 bytes that nobody can guess
 */
export function createSecretBox(material: Buffer): SecretBox {
  const key = createHash('sha256').update('switchback secrets').update(material).digest()
  const keyId = createHash('sha256').update('id').update(key).digest('hex').slice(0, 8)
  return {
    seal: (secret, about) => {
      const iv = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(about))
      const content = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
      const parts = [iv, cipher.getAuthTag(), content].map((part) => part.toString('base64url'))
      return ['v1', keyId, ...parts].join('.')
    },
    open: (sealed, about) => {
      const [version, id, iv = '', tag = '', content = ''] = sealed.split('.')
      if (version !== 'v1') throw new Error('a sealed secret of an unknown form')
      if (id !== keyId) {
        throw new WrongKeyError(
          'a secret was sealed with another key: give every server the same SWITCHBACK_SECRET_KEY',
        )
      }
      const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64url'))
        .setAAD(Buffer.from(about))
        .setAuthTag(Buffer.from(tag, 'base64url'))
      const text = Buffer.concat([decipher.update(Buffer.from(content, 'base64url')), decipher.final()])
      return text.toString('utf8')
    },
  }
}
