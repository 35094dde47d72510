import { childOf, textOf, type XmlElement } from '../xml/xml-element.ts'
import { element, textElement } from './write-xml.ts'

/** A folder by its well-known name (`calendar`, `sentitems`) or by its id. */
export type FolderRef = { readonly known: string } | { readonly id: string }

export interface Folder {
  readonly id: string
  readonly name: string
  readonly parentId: string | undefined
  /** `IPF.Note`, `IPF.Appointment`, `IPF.Contact`, `IPF.Task`; undefined where the server does not say. */
  readonly folderClass: string | undefined
  readonly itemCount: number
}

export function writeFolderRef(folder: FolderRef): string {
  return 'known' in folder
    ? element('t:DistinguishedFolderId', { Id: folder.known })
    : element('t:FolderId', { Id: folder.id })
}

export function writeGetFolder(folders: readonly FolderRef[]): string {
  const shape = element('m:FolderShape', {}, textElement('t:BaseShape', 'Default'), properties())
  return element('m:GetFolder', {}, shape, element('m:FolderIds', {}, ...folders.map(writeFolderRef)))
}

export function writeFindFolder(parent: FolderRef, offset: number, entriesMax: number): string {
  const shape = element('m:FolderShape', {}, textElement('t:BaseShape', 'Default'), properties())
  const view = element('m:IndexedPageFolderView', {
    MaxEntriesReturned: entriesMax,
    Offset: offset,
    BasePoint: 'Beginning',
  })
  const parents = element('m:ParentFolderIds', {}, writeFolderRef(parent))
  return element('m:FindFolder', { Traversal: 'Deep' }, shape, view, parents)
}

function properties(): string {
  const uris = ['folder:ParentFolderId', 'folder:FolderClass'].map(uri => element('t:FieldURI', { FieldURI: uri }))
  return element('t:AdditionalProperties', {}, ...uris)
}

/** A folder of an answer; undefined for an element that has no id. */
export function readFolder(folder: XmlElement | undefined): Folder | undefined {
  const id = childOf(folder, 'FolderId')?.attributes.get('Id')
  if (id === undefined) return undefined
  return {
    id,
    name: childOf(folder, 'DisplayName')?.text ?? '',
    parentId: childOf(folder, 'ParentFolderId')?.attributes.get('Id'),
    folderClass: textOf(folder, 'FolderClass'),
    itemCount: Number(textOf(folder, 'TotalCount') ?? 0),
  }
}
