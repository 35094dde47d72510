import type { ASTNode } from '@marcbachmann/cel-js'
import { reservedNames } from '../kernel/message.ts'
import { functionNames, matchFunction, nullableRoot, presentRoot, rootNames } from './cel-environment.ts'
import type { ExpressionNames } from './compile-expression.ts'
import { editDistance, listNames, nearestName } from './did-you-mean.ts'
import { ExpressionFault } from './expression-fault.ts'
import { compilePattern } from './linear-regex.ts'
import type { BodyNeeds } from './message-view.ts'

/** What an expression refers to. */
export interface Inspection {
  readonly needs: BodyNeeds
  readonly readsMessage: boolean
  readonly readsLocals: boolean
  /** It asks has(message.…), which looks at the message without default values. */
  readonly asksPresence: boolean
  /** It compares a header with null. */
  readonly asksNull: boolean
}

/** Words of other products and languages for what is called otherwise here. */
const otherWords: Record<string, string> = {
  header: "message.headers['name']",
  headers: "message.headers['name']",
  body: 'message.body',
  sender: 'message.from',
  recipient: 'message.to',
  recipients: 'message.to',
  payload: 'message.body',
  content: 'message.body',
  length: 'message.size',
  attachment: 'message.attachments',
  contenttype: 'message.type',
  constructor: 'an attribute of another name',
  prototype: 'an attribute of another name',
  __proto__: 'an attribute of another name',
}

function meantBy(name: string): string | undefined {
  const word = name.toLowerCase()
  return Object.hasOwn(otherWords, word) ? otherWords[word] : undefined
}

/**
 * Walks the tree of an expression once, before it is checked: finds what it reads, refuses names that cannot be
 * meant, and leads matches() to the linear matcher. Throws ExpressionFault with the place.
 */
export function inspectTree(root: ASTNode, text: string, names: ExpressionNames): Inspection {
  const walk = new TreeWalk(text, names)
  walk.visit(root, new Set(), false)
  return walk.inspection()
}

class TreeWalk {
  readonly #text: string
  readonly #names: ExpressionNames
  readonly #functions = new Set(functionNames())
  #needs = { body: false, attachments: false }
  #readsMessage = false
  #readsLocals = false
  #asksPresence = false
  #asksNull = false

  constructor(text: string, names: ExpressionNames) {
    this.#text = text
    this.#names = names
  }

  inspection(): Inspection {
    return {
      needs: this.#needs,
      readsMessage: this.#readsMessage,
      readsLocals: this.#readsLocals,
      asksPresence: this.#asksPresence,
      asksNull: this.#asksNull,
    }
  }

  /** `bound` are names that a macro (exists, map, cel.bind) introduced. */
  visit(node: ASTNode, bound: ReadonlySet<string>, isPresence: boolean): void {
    switch (node.op) {
      case 'id':
        this.#name(node, bound)
        // The whole message is handed on, so anything of it may be read.
        if (node.args === 'message' || node.args === presentRoot) this.#needs = { body: true, attachments: true }
        return
      case '.':
      case '.?':
        this.#member(node, node.args[0], node.args[1], bound, isPresence)
        return
      case '[]':
      case '[?]': {
        const [container, key] = node.args
        if (key.op === 'value' && typeof key.args === 'string') {
          this.#member(node, container, key.args, bound, isPresence)
        } else {
          this.visit(container, bound, isPresence)
          this.visit(key, bound, false)
        }
        return
      }
      case 'call':
        this.#function(node, node.args[0], node.start)
        for (const inner of node.args[1]) this.visit(inner, bound, node.args[0] === 'has')
        return
      case 'rcall':
        this.#method(node, bound)
        return
      case 'map':
        for (const [key, value] of node.args) {
          this.visit(key, bound, false)
          this.visit(value, bound, false)
        }
        return
      case 'value':
        return
      case '==':
      case '!=':
        for (const inner of node.args) this.visit(inner, bound, false)
        this.#compareHeader(node.args[0], node.args[1])
        this.#compareHeader(node.args[1], node.args[0])
        return
      case '!_':
      case '-_':
        this.visit(node.args, bound, false)
        return
      case '-':
        this.#refuseHyphen(node.args[0], node.args[1], bound)
        for (const inner of node.args) this.visit(inner, bound, false)
        return
      case 'list':
      case '?:':
      case '||':
      case '&&':
      case 'in':
      case '+':
      case '*':
      case '/':
      case '%':
      case '<':
      case '<=':
      case '>':
      case '>=':
        for (const inner of node.args) this.visit(inner, bound, false)
    }
  }

  #knownNames(): readonly string[] {
    return [...rootNames, ...(this.#names.locals ?? [])]
  }

  #isKnown(name: string): boolean {
    return this.#knownNames().includes(name)
  }

  #name(node: ASTNode & { readonly op: 'id' }, bound: ReadonlySet<string>): void {
    const name = node.args
    if (bound.has(name) || name === 'cel') return
    if (!this.#isKnown(name)) throw this.#unknownName(name, this.#knownNames(), node.start)
    if (name === 'message') this.#readsMessage = true
    if (this.#names.locals?.includes(name)) this.#readsLocals = true
  }

  /** `message.headers.x-region` is read as a difference. */
  #refuseHyphen(left: ASTNode, right: ASTNode, bound: ReadonlySet<string>): void {
    if (left.op !== '.' || right.op !== 'id' || bound.has(right.args) || this.#isKnown(right.args)) return
    if (right.start - left.end !== 1) return
    const [owner, begin] = left.args
    const offset = left.end - begin.length
    const name = /^[\w-]+/.exec(this.#text.slice(offset))?.[0] ?? begin
    const where = this.#text.slice(owner.start, owner.end)
    const hint = `A name with a hyphen stands in brackets: ${where}['${name}'].`
    throw new ExpressionFault(`it takes "${name}" for a difference`, hint, offset, name.length)
  }

  #unknownName(name: string, known: readonly string[], offset: number): ExpressionFault {
    const logic: Record<string, string> = { and: '&&', or: '||', not: '!' }
    const near = nearestName(name, known)
    const other = meantBy(name)
    const quoted = `If it is text, put it in quotes: '${name}'.`
    const hint = logic[name]
      ? `Write ${logic[name]} instead.`
      : near
        ? `Did you mean ${near}? ${quoted}`
        : other
          ? `Did you mean ${other}? ${quoted}`
          : `An expression begins with ${listNames(known)}. Facts of the message stand there: message.${name}. ${quoted}`
    return new ExpressionFault(`it does not know the name "${name}"`, hint, offset, name.length)
  }

  #member(node: ASTNode, container: ASTNode, name: string, bound: ReadonlySet<string>, isPresence: boolean): void {
    if (container.op !== 'id' || bound.has(container.args)) {
      this.visit(container, bound, isPresence)
      return
    }
    this.#name(container, bound)
    const offset = this.#offsetOf(name, container.end, node.end)
    if (container.args === 'message') {
      this.#messageMember(name, offset)
      if (isPresence) {
        this.#asksPresence = true
        Object.assign(container, { args: presentRoot })
      }
    }
    if (container.args === 'flow') this.#closedMember('flow', name, ['name', 'stage'], offset)
    if (container.args === 'params' && this.#names.params) {
      this.#closedMember('params', name, this.#names.params, offset)
    }
  }

  #messageMember(name: string, offset: number): void {
    if (name === 'body') this.#needs.body = true
    if (name === 'attachments') this.#needs.attachments = true
    if (reservedNames.includes(name)) return
    const { attributes } = this.#names
    if (attributes?.includes(name)) return
    // Where nobody knows which attributes there are, only what cannot be meant is refused.
    const near = reservedNames.find(
      known => known.toLowerCase() === name.toLowerCase() || (known.length > 3 && editDistance(known, name) === 1),
    )
    const other = meantBy(name)
    if (near || other) {
      const meant = near ? `message.${near}` : other
      throw new ExpressionFault(`a message has no "${name}"`, `Did you mean ${meant}?`, offset, name.length)
    }
    if (attributes) this.#closedMember('message', name, [...attributes, ...reservedNames], offset, 'a message')
  }

  #closedMember(owner: string, name: string, known: readonly string[], offset: number, called = owner): void {
    if (known.includes(name)) return
    const near = nearestName(name, known)
    const declare = owner === 'params' ? ' Declare it under params, or correct the name.' : ''
    const hint = near ? `Did you mean ${owner}.${near}?` : `${owner} has ${listNames(known)}.${declare}`
    throw new ExpressionFault(`${called} has no "${name}"`, hint, offset, name.length)
  }

  #function(_node: ASTNode, name: string, offset: number): void {
    if (this.#functions.has(name)) return
    const near = nearestName(name, this.#functions)
    const hint = near ? `Did you mean ${near}?` : 'The functions are listed in the guide to flow documents.'
    throw new ExpressionFault(`there is no function "${name}"`, hint, offset, name.length)
  }

  #method(node: ASTNode & { readonly op: 'rcall' }, bound: ReadonlySet<string>): void {
    const [name, receiver, values] = node.args
    this.visit(receiver, bound, false)
    this.#function(node, name, this.#offsetOf(name, receiver.end, node.end))
    const variable = values[0]
    const isMacro = ['exists', 'all', 'exists_one', 'map', 'filter', 'optMap', 'optFlatMap'].includes(name)
    const isBind = name === 'bind' && receiver.op === 'id' && receiver.args === 'cel'
    if ((isMacro || isBind) && variable?.op === 'id') {
      this.#refuseShadow(variable)
      const inner = new Set([...bound, variable.args])
      for (const [index, value] of values.slice(1).entries()) {
        this.visit(value, isBind && index === 0 ? bound : inner, false)
      }
      return
    }
    for (const value of values) this.visit(value, bound, false)
    if (name === 'matches') this.#linearMatch(node, values[0])
  }

  // A header that is not there is empty text, but people also ask whether it is null; both are to be right.
  #compareHeader(access: ASTNode, other: ASTNode): void {
    if (other.op !== 'value' || other.args !== null || (access.op !== '[]' && access.op !== '.')) return
    const headers = access.args[0]
    if (headers.op !== '.' || headers.args[1] !== 'headers') return
    const root = headers.args[0]
    if (root.op !== 'id' || root.args !== 'message') return
    this.#asksNull = true
    Object.assign(root, { args: nullableRoot })
  }

  #refuseShadow(variable: ASTNode & { readonly op: 'id' }): void {
    const name = variable.args
    if (
      !rootNames.some(root => root === name) &&
      !this.#names.locals?.includes(name) &&
      name !== presentRoot &&
      name !== nullableRoot
    )
      return
    throw new ExpressionFault(
      `"${name}" is taken already`,
      'Take another name for the item, for example a.',
      variable.start,
      name.length,
    )
  }

  #linearMatch(node: ASTNode & { readonly op: 'rcall' }, pattern: ASTNode | undefined): void {
    node.args[0] = matchFunction
    if (pattern?.op !== 'value' || typeof pattern.args !== 'string') return
    try {
      compilePattern(pattern.args)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      const hint = 'Regular expressions are in RE2 syntax: no look-ahead, no back-references; backslashes are doubled.'
      const length = pattern.end - pattern.start
      throw new ExpressionFault(`its regular expression is not valid (${why})`, hint, pattern.start, length)
    }
  }

  #offsetOf(name: string, from: number, to: number): number {
    const found = this.#text.indexOf(name, from)
    return found < 0 || found > to ? from : found
  }
}
