import {
  Table,
  TableCell,
  TableHeaderCell,
  TableHeaderRow,
  TableRow,
  TableSelectionMulti,
} from '@ui5/webcomponents-react'
import type { ReactNode } from 'react'
import { hrefOf, navigate } from '../route.ts'

export interface Column<Row> {
  readonly name: string
  readonly width?: string
  readonly minWidth?: string
  readonly isNumber?: boolean
  /** Where the table is too narrow, columns of less weight go below the row first. */
  readonly weight?: number
  show(row: Row): ReactNode
}

interface RowsProps<Row> {
  readonly name: string
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  keyOf(row: Row): string
  /** The page of a row, as a path of the console. */
  toOf?(row: Row): string
  readonly none: ReactNode
  /** Keys of the chosen rows, where rows can be chosen. */
  readonly chosen?: ReadonlySet<string>
  onChoose?(chosen: ReadonlySet<string>): void
}

/** A table that folds its columns below each row where it is narrow; a click on a row opens its page. */
export function Rows<Row>(props: RowsProps<Row>) {
  const { name, columns, rows, keyOf, toOf, none, chosen, onChoose } = props
  if (rows.length === 0) return <>{none}</>
  return (
    <Table
      accessibleName={name}
      overflowMode="Popin"
      className="rows"
      {...(chosen && {
        features: (
          <TableSelectionMulti
            selected={[...chosen].join(' ')}
            behavior="RowSelector"
            onChange={event => onChoose?.(event.target.getSelectedAsSet())}
          />
        ),
      })}
      onRowClick={event => {
        const { row: clicked } = event.detail
        const row = rows.find(each => keyOf(each) === clicked.rowKey)
        if (row && toOf && !isMarkedIn(clicked)) navigate(toOf(row))
      }}
      headerRow={
        <TableHeaderRow sticky>
          {columns.map(column => (
            <TableHeaderCell
              key={column.name}
              importance={column.weight ?? 0}
              {...(column.width !== undefined && { width: column.width })}
              {...(column.minWidth !== undefined && { minWidth: column.minWidth })}
              horizontalAlign={column.isNumber ? 'End' : 'Start'}
            >
              {column.name}
            </TableHeaderCell>
          ))}
        </TableHeaderRow>
      }
    >
      {rows.map(row => (
        <TableRow key={keyOf(row)} rowKey={keyOf(row)} interactive={toOf !== undefined}>
          {columns.map(column => (
            <TableCell key={column.name} horizontalAlign={column.isNumber ? 'End' : 'Start'}>
              <div className={column.isNumber ? 'cell number' : 'cell'}>{column.show(row)}</div>
            </TableCell>
          ))}
        </TableRow>
      ))}
    </Table>
  )
}

/** Somebody marks text of it to copy it, an id for example, and does not mean its page. */
function isMarkedIn(node: Node): boolean {
  const marked = getSelection()
  return marked !== null && !marked.isCollapsed && marked.containsNode(node, true)
}

/** A link to a page of the console. */
export function To({ to, children }: { readonly to: string; readonly children: ReactNode }) {
  return (
    <a className="link" href={hrefOf(to)}>
      {children}
    </a>
  )
}
