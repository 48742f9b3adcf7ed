import { z } from 'zod'

/** A whole number of what is named, within bounds. */
export const number = (name: string, min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, `expected a whole number for ${name}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `expected ${min} to ${max}`)

export const milliseconds = (min: number, max: number) => number('milliseconds', min, max)

export const url = (...protocols: string[]) =>
  z
    .string()
    .refine(
      (text) => URL.canParse(text) && protocols.includes(new URL(text).protocol),
      `expected a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    )
