/** The setting that holds the connection of a target, by the name that definitions use. */
export const targetVariable = (name: string): string =>
  `TARGET_${name.toUpperCase().replaceAll('-', '_')}_URL`
