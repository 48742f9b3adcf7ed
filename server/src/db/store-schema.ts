/** Schema of the store's database that everything of Switchback's own lives in. */
export const STORE_SCHEMA = 'switchback_store'
