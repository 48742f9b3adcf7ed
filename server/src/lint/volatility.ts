import type { Node } from 'libpg-query'
import { callsIn } from './ast.ts'

// What defaults are commonly made of and yields the same for every row of a statement. A function that is not
// here may be volatile; one created STABLE or IMMUTABLE in the same file is told apart from that.
const STEADY = new Set(
  `now transaction_timestamp statement_timestamp current_setting timezone date_trunc to_timestamp
   make_date make_interval make_timestamp make_timestamptz lower upper concat format md5 encode decode abs round
   floor ceil coalesce greatest least array_fill jsonb_build_object jsonb_build_array json_build_object
   json_build_array to_json to_jsonb hstore point box int4range int8range numrange tsrange tstzrange daterange
   int4multirange int8multirange tstzmultirange sha256 sha512 length left right lpad rpad repeat replace
   convert_to convert_from to_char to_date to_number txid_current pg_current_xact_id current_database
   current_schema version inet_client_addr date_part extract age nullif string_to_array regexp_replace btrim
   ltrim rtrim trim substring`.split(/\s+/),
)

/** The first call in a default that may yield another value for every row. */
export function volatileCall(
  expression: Node | undefined,
  steadyToo: ReadonlySet<string>,
): { readonly name: string; readonly at: number } | undefined {
  return callsIn(expression).find(({ name }) => !STEADY.has(name) && !steadyToo.has(name))
}
