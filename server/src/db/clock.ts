/** Source of the time, in Unix milliseconds; passed in so that tests decide what time it is. */
export type Clock = () => number

/** Source of ids; sortable by the time of their making where that helps. */
export type NewId = (prefix: string) => string
