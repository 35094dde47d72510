import { SaxesParser, type SaxesTagNS } from 'saxes'
import { HubError } from '../../kernel/error.ts'
import { type EdmType, isEdmType } from './edm.ts'
import { odataErrors } from './errors.ts'
import { odataLimits } from './limits.ts'
import type { EntityType, Model, Operation } from './model.ts'

/**
 * Reads an EDMX document (V2: MC-CSDL; V4: OData CSDL XML 4.01) as it comes; of it only sets, keys, types of properties
 * and operations stay in memory. Throws ODATA_METADATA_ODD: a document with a DTD, one that is not well-formed, nested
 * too deeply or too large is refused.
 */
export async function readMetadata(chunks: AsyncIterable<Uint8Array>, server: string): Promise<Model> {
  const reader = new MetadataReader(server)
  const text = new TextDecoder('utf-8', { fatal: true })
  try {
    for await (const chunk of chunks) reader.write(text.decode(chunk, { stream: true }))
    reader.write(text.decode())
    return reader.end()
  } catch (thrown) {
    if (thrown instanceof HubError) throw thrown
    const reason = thrown instanceof Error ? (thrown.message.split('\n')[0] ?? '') : String(thrown)
    throw odataErrors.METADATA_ODD({ server, reason }, { cause: thrown })
  }
}

interface DraftType {
  readonly name: string
  readonly base: string | undefined
  readonly key: string[]
  readonly properties: Map<string, EdmType | undefined>
  /** Navigation and complex properties by name: the type they lead to, or relationship and role (navigation of V2). */
  readonly navigation: Map<string, { readonly type?: string; readonly relationship?: string; readonly role?: string }>
}

interface DraftOperation {
  readonly name: string
  readonly qualifiedName: string
  readonly method: 'GET' | 'POST'
  readonly isBound: boolean
  readonly parameters: Map<string, EdmType | undefined>
  readonly set: string | undefined
}

class MetadataReader {
  readonly #server: string
  readonly #parser = new SaxesParser({ xmlns: true })
  readonly #types = new Map<string, DraftType>()
  readonly #sets = new Map<string, string>()
  readonly #operations = new Map<string, DraftOperation>()
  /** V2: the type at the end of an association, by `association/role`. */
  readonly #ends = new Map<string, string>()
  #path: string[] = []
  #namespace = ''
  #alias: string | undefined
  readonly #aliases = new Map<string, string>()
  #type: DraftType | undefined
  #operation: DraftOperation | undefined
  #association = ''
  #isInKey = false
  #names = 0
  #hasSchema = false

  constructor(server: string) {
    this.#server = server
    this.#parser.on('error', error => {
      throw error
    })
    // Entities can only be declared in a DTD, and no service needs one.
    this.#parser.on('doctype', () => {
      throw this.#odd('it has a document type definition')
    })
    this.#parser.on('opentag', tag => this.#open(tag))
    this.#parser.on('closetag', tag => this.#close(tag))
  }

  write(text: string): void {
    if (text !== '') this.#parser.write(text)
  }

  end(): Model {
    this.#parser.close()
    if (!this.#hasSchema) throw this.#odd('it has no schema in it')
    const finished = new Map<string, FinishedType>()
    for (const draft of this.#types.values()) this.#finish(draft.name, finished, 0)
    for (const [name, type] of finished) this.#link(this.#types.get(name), type, finished, 0)
    const sets = new Map<string, EntityType>()
    for (const [set, typeName] of this.#sets) {
      const type = finished.get(this.#full(typeName))
      if (type) sets.set(set, type)
    }
    return { sets, operations: this.#operations satisfies ReadonlyMap<string, Operation> }
  }

  #open(tag: SaxesTagNS): void {
    this.#path.push(tag.local)
    if (this.#path.length > odataLimits.depth) throw this.#odd('it is nested too deeply')
    const at = (name: string) => attributeOf(tag, name)
    const name = at('Name') ?? ''
    switch (tag.local) {
      case 'Schema':
        this.#hasSchema = true
        this.#namespace = at('Namespace') ?? ''
        this.#alias = at('Alias')
        if (this.#alias !== undefined) this.#aliases.set(this.#alias, this.#namespace)
        return
      case 'EntityType':
      case 'ComplexType':
        this.#count()
        this.#type = {
          name: `${this.#namespace}.${name}`,
          base: at('BaseType'),
          key: [],
          properties: new Map(),
          navigation: new Map(),
        }
        this.#types.set(this.#type.name, this.#type)
        return
      case 'Key':
        this.#isInKey = true
        return
      case 'PropertyRef':
        if (this.#isInKey) this.#type?.key.push(name)
        return
      case 'Property':
        this.#count()
        this.#type?.properties.set(name, edmTypeIn(at('Type')))
        // A complex property is a way on, as a navigation is.
        if (edmTypeIn(at('Type')) === undefined) this.#type?.navigation.set(name, optional('type', at('Type')))
        return
      case 'NavigationProperty':
        this.#count()
        this.#type?.navigation.set(name, {
          ...optional('type', at('Type')),
          ...optional('relationship', at('Relationship')),
          ...optional('role', at('ToRole')),
        })
        return
      case 'Association':
        this.#association = `${this.#namespace}.${name}`
        return
      case 'End': {
        const type = at('Type')
        if (type !== undefined) this.#ends.set(`${this.#association}/${at('Role') ?? ''}`, type)
        return
      }
      case 'EntitySet':
      case 'Singleton':
        this.#count()
        this.#sets.set(name, at('EntityType') ?? at('Type') ?? '')
        return
      case 'FunctionImport':
        // Of V4 this only names a function that stands in the schema; of V2 it is the function itself.
        if (at('Function') === undefined) {
          this.#begin(name, name, (at('HttpMethod') ?? 'GET') === 'POST', false, at('EntitySet'))
        }
        return
      case 'Function':
      case 'Action': {
        const isBound = at('IsBound') === 'true'
        this.#begin(name, `${this.#namespace}.${name}`, tag.local === 'Action', isBound)
        return
      }
      case 'Parameter':
        this.#operation?.parameters.set(name, edmTypeIn(at('Type')))
        return
    }
  }

  #close(tag: SaxesTagNS): void {
    this.#path.pop()
    if (tag.local === 'EntityType' || tag.local === 'ComplexType') this.#type = undefined
    if (tag.local === 'Key') this.#isInKey = false
    if (tag.local === 'FunctionImport' || tag.local === 'Function' || tag.local === 'Action')
      this.#operation = undefined
  }

  #begin(name: string, qualifiedName: string, isPost: boolean, isBound: boolean, set?: string): void {
    this.#count()
    this.#operation = { name, qualifiedName, method: isPost ? 'POST' : 'GET', isBound, parameters: new Map(), set }
    this.#operations.set(name, this.#operation)
  }

  /** The type with what it inherits; a base that is not there, or a circle of bases, ends the line. */
  #finish(name: string, finished: Map<string, FinishedType>, depth: number): FinishedType | undefined {
    const known = finished.get(name)
    const draft = this.#types.get(name)
    if (known || !draft || depth > odataLimits.depth) return known
    const base = draft.base === undefined ? undefined : this.#finish(this.#full(draft.base), finished, depth + 1)
    const type = {
      name,
      key: draft.key.length > 0 ? draft.key : (base?.key ?? []),
      properties: new Map([...(base?.properties ?? []), ...draft.properties]),
      navigation: new Map<string, EntityType | undefined>(),
    }
    finished.set(name, type)
    return type
  }

  #link(
    draft: DraftType | undefined,
    type: FinishedType,
    finished: ReadonlyMap<string, FinishedType>,
    depth: number,
  ): void {
    if (!draft || depth > odataLimits.depth) return
    if (draft.base !== undefined) this.#link(this.#types.get(this.#full(draft.base)), type, finished, depth + 1)
    for (const [name, to] of draft.navigation) {
      const target = to.type ?? this.#ends.get(`${this.#full(to.relationship ?? '')}/${to.role ?? ''}`)
      type.navigation.set(name, finished.get(this.#full(withoutCollection(target ?? ''))))
    }
  }

  #full(name: string): string {
    const dot = name.lastIndexOf('.')
    const namespace = this.#aliases.get(name.slice(0, Math.max(dot, 0)))
    return namespace === undefined ? name : `${namespace}${name.slice(dot)}`
  }

  #count(): void {
    this.#names += 1
    if (this.#names > odataLimits.metadataNames) throw this.#odd(`it has more than ${odataLimits.metadataNames} names`)
  }

  #odd(reason: string): HubError {
    return odataErrors.METADATA_ODD({ server: this.#server, reason })
  }
}

interface FinishedType extends EntityType {
  readonly navigation: Map<string, EntityType | undefined>
}

function attributeOf(tag: SaxesTagNS, name: string): string | undefined {
  const own = tag.attributes[name]
  if (own) return own.value
  // m:HttpMethod of V2 has a prefix, whichever the service chose.
  return Object.values(tag.attributes).find(attribute => attribute.local === name && attribute.prefix === 'm')?.value
}

function edmTypeIn(name: string | undefined): EdmType | undefined {
  return name !== undefined && isEdmType(name) ? name : undefined
}

function withoutCollection(name: string): string {
  return /^Collection\((.*)\)$/.exec(name)?.[1] ?? name
}

function optional<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: string })
}
