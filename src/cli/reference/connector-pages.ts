import { connectorConfig } from '../../connector/agent/connector-config.ts'
import { type ConnectorIo, connectorProgram } from '../connector-agent/run.ts'
import { cliPage } from './cli-page.ts'
import { fieldTable } from './fields.ts'
import { fieldsOf, note } from './pages.ts'

const configAbout =
  'What an on-premise connector lets the hub reach, and how it reaches the hub. A change acts at once, except for `data` and ' +
  '`log`. Paths are relative to the file; unknown keys are refused, and then what was in force stays.'
const exitCodes =
  'Exit codes: 0 done; 1 what was looked at is not in order; 2 wrong usage; 3 the hub, or the running connector, does not\n' +
  'answer; 4 the hub refused; 70 something unforeseen.'

/** The pages about the second program, `isthmus-connector`. */
export function connectorPages(io: ConnectorIo): ReadonlyMap<string, string> {
  const program = connectorProgram({ io, show() {}, exitWith() {} })
  return new Map([
    ['connector-config.md', `${note}# connector.yaml\n\n${configAbout}\n\n${fieldTable(fieldsOf(connectorConfig))}`],
    ['connector-cli.md', cliPage(program, 'Commands of the connector', exitCodes)],
  ])
}
