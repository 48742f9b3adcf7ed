import { expect, it } from 'vitest'
import { definitionJsonSchema } from './definition.ts'

it('publishes the JSON Schema of migration.yaml as it is; `npx vitest run schema -u` writes it anew', async () => {
  const schema = { title: 'Switchback migration', ...(definitionJsonSchema() as object) }
  await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot('../schema/migration.schema.json')
})
