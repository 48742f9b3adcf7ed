import { PassThrough, Readable } from 'node:stream'
import type { S3Client } from '@aws-sdk/client-s3'
import type { ArchiveStore } from './archive-store.ts'

export interface S3Place {
  readonly bucket: string
  /** Without slashes at its ends; empty for the bucket itself. */
  readonly prefix: string
  readonly region?: string
  /** Of a store that speaks S3 and is not Amazon's. */
  readonly endpoint?: string
}

/** `s3://bucket/prefix?region=…&endpoint=…`; undefined where it is no such URL. */
export function parseS3(text: string): S3Place | undefined {
  if (!URL.canParse(text)) return undefined
  const { protocol, hostname, pathname, searchParams } = new URL(text)
  if (protocol !== 's3:' || hostname === '') return undefined
  const region = searchParams.get('region')
  const endpoint = searchParams.get('endpoint')
  if (endpoint !== null && !URL.canParse(endpoint)) return undefined
  return {
    bucket: hostname,
    prefix: decodeURIComponent(pathname).replaceAll(/^\/+|\/+$/g, ''),
    ...(region === null ? {} : { region }),
    ...(endpoint === null ? {} : { endpoint }),
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'NoSuchKey' || error.name === 'NotFound')

/**
 * Archives in a bucket of Amazon S3, or of any store that speaks its language. Credentials come from where
 * the AWS SDK looks for them. The SDK is loaded when it is first needed: it is large.
 */
export function s3Store({ bucket, prefix, region, endpoint }: S3Place): ArchiveStore {
  let client: Promise<S3Client> | undefined
  const s3 = async () => {
    const sdk = await import('@aws-sdk/client-s3')
    client ??= Promise.resolve(
      new sdk.S3Client({
        region: region ?? process.env.AWS_REGION ?? 'us-east-1',
        // Other stores know neither the checksums that are Amazon's default nor buckets as host names.
        ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
        requestChecksumCalculation: 'WHEN_REQUIRED',
        responseChecksumValidation: 'WHEN_REQUIRED',
      }),
    )
    return { sdk, client: await client }
  }
  const keyOf = (name: string): string => (prefix === '' ? name : `${prefix}/${name}`)

  return {
    place: (name) => `s3://${bucket}/${keyOf(name)}`,
    write: async (name, content, signal) => {
      const { client: to } = await s3()
      const { Upload } = await import('@aws-sdk/lib-storage')
      const body = content.pipe(new PassThrough())
      content.once('error', (error) => body.destroy(error))
      const upload = new Upload({ client: to, params: { Bucket: bucket, Key: keyOf(name), Body: body } })
      const abort = () => void upload.abort().catch(() => undefined)
      signal.addEventListener('abort', abort, { once: true })
      try {
        await upload.done()
      } finally {
        signal.removeEventListener('abort', abort)
      }
    },
    read: async (name, signal) => {
      const { sdk, client: from } = await s3()
      try {
        const found = await from.send(new sdk.GetObjectCommand({ Bucket: bucket, Key: keyOf(name) }), {
          abortSignal: signal,
        })
        return found.Body instanceof Readable ? found.Body : undefined
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    },
    list: async (folder) => {
      const { sdk, client: of } = await s3()
      const names: string[] = []
      let next: string | undefined
      do {
        const page = await of.send(
          new sdk.ListObjectsV2Command({
            Bucket: bucket,
            Prefix: `${keyOf(folder)}/`,
            ...(next === undefined ? {} : { ContinuationToken: next }),
          }),
        )
        for (const { Key } of page.Contents ?? []) {
          if (Key !== undefined) names.push(prefix === '' ? Key : Key.slice(prefix.length + 1))
        }
        next = page.NextContinuationToken
      } while (next !== undefined)
      return names.sort()
    },
    remove: async (name) => {
      const { sdk, client: of } = await s3()
      await of.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: keyOf(name) }))
    },
  }
}
