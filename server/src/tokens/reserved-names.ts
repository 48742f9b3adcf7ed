/** Names that the audit log gives to parts of the server; nobody else may bear them. */
export const RESERVED_NAMES = ['engine', 'alert', 'tripwire', 'environment', 'first start']
