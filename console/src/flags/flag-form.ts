import type { Input, Schema } from '../api/client.ts'
import type { Phase } from '../migration/words.ts'

export type StoredFlag = Schema<'StoredFlag'>
export type FlagBody = NonNullable<Input<'PUT /v1/flags/{key}'>['body']>

/** A flag as it stands in the form: everything is text until it is sent. */
export interface FlagForm {
  readonly key: string
  readonly description: string
  readonly enabled: boolean
  readonly variants: readonly { readonly id: number; readonly name: string; readonly value: string }[]
  readonly defaultVariant: string
  readonly offVariant: string
  readonly rules: readonly RuleForm[]
  readonly migration: string
  readonly phase: Phase
}

export interface RuleForm {
  readonly id: number
  readonly attribute: string
  /** Values, separated by commas. */
  readonly among: string
  /** In per cent; empty for everybody who meets the rest. */
  readonly share: string
  readonly variant: string
}

export const NEW_FLAG: FlagForm = {
  key: '',
  description: '',
  enabled: true,
  variants: [
    { id: 1, name: 'on', value: 'true' },
    { id: 2, name: 'off', value: 'false' },
  ],
  defaultVariant: 'on',
  offVariant: 'off',
  rules: [],
  migration: '',
  phase: 'expanded',
}

/** Six digits are what the server keeps of a share. */
const percents = (share: number): string => String(Number((share * 100).toFixed(6)))

export const formOf = (flag: StoredFlag): FlagForm => ({
  key: flag.key,
  description: flag.description,
  enabled: flag.enabled,
  variants: Object.entries(flag.variants).map(([name, value], id) => ({ id, name, value: typed(value) })),
  defaultVariant: flag.defaultVariant,
  offVariant: flag.offVariant,
  rules: flag.rules.map(({ when, share, variant }, id) => ({
    id,
    attribute: when?.attribute ?? '',
    among: when?.in.map(inList).join(', ') ?? '',
    share: share === undefined ? '' : percents(share),
    variant,
  })),
  migration: flag.requires?.migration ?? '',
  phase: flag.requires?.phase ?? 'expanded',
})

/** A text that would read as something else is put into quotes. */
const typed = (value: unknown): string =>
  typeof value === 'string' && value !== '' && parsed(value) === value ? value : JSON.stringify(value)

const inList = (value: string | number | boolean): string =>
  typeof value === 'string' && /[,"]|^\s|\s$/.test(value) ? JSON.stringify(value) : typed(value)

/** Numbers, true, false, and what is in quotes or braces are what they are; all else is text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** What is sent; what of it cannot be, the server says. */
export function bodyOf(form: FlagForm): FlagBody {
  const variants = form.variants.map(({ name, value }) => [name.trim(), parsed(value.trim())] as const)
  return {
    key: form.key.trim(),
    description: form.description.trim(),
    enabled: form.enabled,
    variants: Object.fromEntries(variants) as NonNullable<FlagBody['variants']>,
    defaultVariant: form.defaultVariant,
    offVariant: form.offVariant,
    rules: form.rules.map(({ attribute, among, share, variant }) => ({
      ...(attribute.trim() === '' ? {} : { when: { attribute: attribute.trim(), in: valuesOf(among) } }),
      ...(share.trim() === '' ? {} : { share: `${share.trim().replace(',', '.').replace(/\s*%$/, '')}%` }),
      variant,
    })),
    ...(form.migration === '' ? {} : { requires: { migration: form.migration, phase: form.phase } }),
  }
}

/** Commas within quotes belong to the text. */
function valuesOf(among: string): (string | number | boolean)[] {
  const parts = among.match(/\s*"(?:[^"\\]|\\.)*"|[^,]+/g) ?? []
  return parts
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const value = parsed(part)
      return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string'
        ? value
        : part
    })
}

/** What the form itself can tell is missing. */
export function missingIn(form: FlagForm): string | undefined {
  const names = form.variants.map(({ name }) => name.trim())
  if (form.key.trim() === '') return 'Give it a key first.'
  if (names.includes('')) return 'A variant has no name.'
  if (new Set(names).size < names.length) return 'Two variants have the same name.'
  if (!names.includes(form.defaultVariant)) return 'Choose which variant is served by default.'
  if (!names.includes(form.offVariant)) return 'Choose which variant is served when it is off.'
  const odd = form.rules.find(({ variant }) => !names.includes(variant))
  return odd === undefined ? undefined : 'A rule leads to no variant.'
}
