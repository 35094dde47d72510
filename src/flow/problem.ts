/** Kinds of mistakes in a flow document and its parameter files. */
export type ProblemCode =
  | 'FLOW_FILE'
  | 'FLOW_YAML'
  | 'FLOW_KEY'
  | 'FLOW_MISSING'
  | 'FLOW_VALUE'
  | 'FLOW_ADAPTER'
  | 'FLOW_EXPRESSION'
  | 'FLOW_PARAM'
  | 'FLOW_ORDER'
  | 'FLOW_DOUBTFUL'

/** A mistake with its place: line and columns count from 1, `endColumn` is the one behind the last letter. */
export interface Problem {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly endColumn?: number
  readonly code: ProblemCode
  /** One sentence that says what is wrong. */
  readonly message: string
  /** What to write instead. */
  readonly next?: string
  readonly severity: 'error' | 'warning'
}

/** Problems as people read them: place, sentence, the line with a caret below, and the next step. */
export function formatProblems(problems: readonly Problem[], textOf: (file: string) => string | undefined): string {
  return problems.map(problem => formatProblem(problem, textOf(problem.file))).join('\n')
}

function formatProblem(problem: Problem, text: string | undefined): string {
  const { file, line, column, endColumn = column + 1 } = problem
  const lines = [`${file}:${line}:${column}  ${problem.severity}  ${problem.message}`]
  const source = text?.split(/\r?\n/)[line - 1]
  if (source !== undefined && source.trim() !== '') {
    const gutter = String(line)
    // A tab stays a tab in the line of the caret, so that both lines move alike.
    const before = source.slice(0, column - 1).replace(/[^\t]/g, ' ')
    const carets = '^'.repeat(Math.max(1, Math.min(endColumn, source.length + 1) - column))
    lines.push(`  ${gutter} | ${source}`, `  ${' '.repeat(gutter.length)} | ${before}${carets}`)
  }
  if (problem.next) lines.push(`  ${problem.next}`)
  return `${lines.join('\n')}\n`
}
