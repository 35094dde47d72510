import { element, textElement } from '../../protocols/ews/write-xml.ts'
import { childOf, textOf, type XmlElement } from '../../protocols/xml/xml-element.ts'
import { eachRow, numberIn } from './item-operations.ts'
import type { Session } from './session.ts'
import { readShape, showItem } from './show-item.ts'
import { EwsError, errorRow, invalid, needed, response, row } from './soap.ts'
import { changeKey, type TwinFolder, type TwinMailbox } from './world.ts'

const elementOf: Readonly<Record<string, string>> = {
  'IPF.Appointment': 'CalendarFolder',
  'IPF.Contact': 'ContactsFolder',
  'IPF.Task': 'TasksFolder',
}

/** `t:Folder` and its kinds, in the order of the schema. */
function showFolder(mailbox: TwinMailbox, folder: TwinFolder, isWhole: boolean): string {
  const id = element('t:FolderId', { Id: folder.id, ChangeKey: 'AQAAAA==' })
  const name = `t:${elementOf[folder.folderClass] ?? 'Folder'}`
  if (!isWhole) return element(name, {}, id)
  const children = [...mailbox.folders.values()].filter(each => each.parentId === folder.id && each !== folder)
  const items = mailbox.itemsOf(folder.id)
  const unread =
    name === 't:Folder'
      ? [textElement('t:UnreadCount', items.filter(item => item.fields.get('IsRead')?.text !== 'true').length)]
      : []
  return element(
    name,
    {},
    id,
    element('t:ParentFolderId', { Id: folder.parentId, ChangeKey: 'AQAAAA==' }),
    textElement('t:FolderClass', folder.folderClass),
    textElement('t:DisplayName', folder.name),
    textElement('t:TotalCount', items.length),
    textElement('t:ChildFolderCount', children.length),
    ...unread,
  )
}

function isWhole(request: XmlElement): boolean {
  const shape = childOf(request, 'FolderShape')
  return textOf(shape, 'BaseShape') !== 'IdOnly' || childOf(shape, 'AdditionalProperties') !== undefined
}

export function getFolder(session: Session, request: XmlElement): string {
  return eachRow('GetFolder', session, needed(request, 'FolderIds').children, ref =>
    element('m:Folders', {}, showFolder(session.mailbox, session.folder(ref), isWhole(request))),
  )
}

export function findFolder(session: Session, request: XmlElement): string {
  const { mailbox } = session
  const isDeep = request.attributes.get('Traversal') === 'Deep'
  return eachRow('FindFolder', session, needed(request, 'ParentFolderIds').children, ref => {
    const top = session.folder(ref)
    const isBelow = (folder: TwinFolder): boolean => {
      if (folder === top || folder.parentId === folder.id) return false
      if (folder.parentId === top.id) return true
      const parent = mailbox.folders.get(folder.parentId)
      return isDeep && parent !== undefined && isBelow(parent)
    }
    const all = [...mailbox.folders.values()].filter(isBelow)
    const view = childOf(request, 'IndexedPageFolderView')
    const offset = Number(view?.attributes.get('Offset') ?? 0)
    const page = all.slice(offset, offset + Number(view?.attributes.get('MaxEntriesReturned') ?? 1000))
    const end = offset + page.length
    const shown = page.map(folder => showFolder(mailbox, folder, isWhole(request)))
    const how = { IndexedPagingOffset: end, TotalItemsInView: all.length, IncludesLastItemInRange: end >= all.length }
    return element('m:RootFolder', how, element('t:Folders', {}, ...shown))
  })
}

export function createFolder(session: Session, request: XmlElement): string {
  const [parent] = needed(request, 'ParentFolderId').children
  if (!parent) throw invalid("The element 'ParentFolderId' has incomplete content.")
  return eachRow('CreateFolder', session, needed(request, 'Folders').children, given => {
    const name = textOf(given, 'DisplayName') ?? ''
    const above = session.folder(parent)
    if ([...session.mailbox.folders.values()].some(each => each.parentId === above.id && each.name === name)) {
      throw new EwsError('ErrorFolderExists', 'A folder with the specified name already exists.')
    }
    const usual = Object.entries(elementOf).find(([, element]) => element === given.name)?.[0]
    const folder = session.mailbox.addFolder(name, above.id, textOf(given, 'FolderClass') ?? usual ?? 'IPF.Note')
    return element('m:Folders', {}, showFolder(session.mailbox, folder, false))
  })
}

export function deleteFolder(session: Session, request: XmlElement): string {
  return eachRow('DeleteFolder', session, needed(request, 'FolderIds').children, ref => {
    const folder = session.folder(ref)
    if (folder.known !== undefined)
      throw new EwsError('ErrorDeleteDistinguishedFolder', 'Distinguished folders cannot be deleted.')
    session.mailbox.removeFolder(folder.id)
    return ''
  })
}

export function resolveNames(session: Session, request: XmlElement): string {
  const wanted = (textOf(request, 'UnresolvedEntry') ?? '').toLowerCase().replace(/^smtp:/, '')
  const found = session.world.mailboxes.filter(
    ({ address, name, aliases }) =>
      address.startsWith(wanted) ||
      name.toLowerCase().includes(wanted) ||
      aliases.some(alias => alias.startsWith(wanted)),
  )
  if (found.length === 0) {
    return response('ResolveNames', [
      errorRow('ResolveNames', new EwsError('ErrorNameResolutionNoResults', 'No results were found.')),
    ])
  }
  const resolutions = found.map(({ name, address }) => {
    const parts = [
      textElement('t:Name', name),
      textElement('t:EmailAddress', address),
      textElement('t:RoutingType', 'SMTP'),
      textElement('t:MailboxType', 'Mailbox'),
    ]
    return element('t:Resolution', {}, element('t:Mailbox', {}, ...parts))
  })
  const how = { TotalItemsInView: found.length, IncludesLastItemInRange: true }
  return response('ResolveNames', [row('ResolveNames', element('m:ResolutionSet', how, ...resolutions))])
}

/** Ids of the twin are the same in every form. */
export function convertId(session: Session, request: XmlElement): string {
  const format = request.attributes.get('DestinationFormat') ?? 'EwsId'
  return eachRow('ConvertId', session, needed(request, 'SourceIds').children, ({ attributes }) =>
    element('m:AlternateId', {
      'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
      'xsi:type': 't:AlternateIdType',
      Format: format,
      Id: attributes.get('Id'),
      Mailbox: session.mailbox.address,
    }),
  )
}

/** Settings of the mailbox that mail programs keep there; the time zone is the one that is asked for. */
export function getUserConfiguration(session: Session, request: XmlElement): string {
  const name = childOf(request, 'UserConfigurationName')
  const which = name?.attributes.get('Name') ?? ''
  if (which !== 'OWA.UserOptions') {
    const missing = new EwsError('ErrorItemNotFound', 'The specified object was not found in the store.')
    return response('GetUserConfiguration', [errorRow('GetUserConfiguration', missing)])
  }
  const entry = (key: string, value: string) =>
    element(
      't:DictionaryEntry',
      {},
      element('t:DictionaryKey', {}, textElement('t:Type', 'String'), textElement('t:Value', key)),
      element('t:DictionaryValue', {}, textElement('t:Type', 'String'), textElement('t:Value', value)),
    )
  const folder = element('t:FolderId', { Id: session.mailbox.folder('msgfolderroot').id })
  const content = element(
    'm:UserConfiguration',
    {},
    element('t:UserConfigurationName', { Name: which }, folder),
    element('t:Dictionary', {}, entry('timezone', 'W. Europe Standard Time')),
  )
  return response('GetUserConfiguration', [row('GetUserConfiguration', content)])
}

interface SyncState {
  readonly folder: string
  readonly seq: number
  readonly generation: number
}

function readState(text: string): SyncState | undefined {
  try {
    const state: unknown = JSON.parse(Buffer.from(text, 'base64').toString())
    const isState =
      typeof state === 'object' && state !== null && 'folder' in state && 'seq' in state && 'generation' in state
    return isState
      ? { folder: String(state.folder), seq: Number(state.seq), generation: Number(state.generation) }
      : undefined
  } catch {
    // Whatever it was, it is none of ours.
    return undefined
  }
}

export function syncFolderItems(session: Session, request: XmlElement): string {
  const { mailbox } = session
  const [ref] = needed(request, 'SyncFolderId').children
  if (!ref) throw invalid("The element 'SyncFolderId' has incomplete content.")
  const max = numberIn(request, 'MaxChangesReturned', 1, 512)
  const given = childOf(request, 'SyncState')
  const refused = (error: EwsError) => {
    const content = `${element('m:SyncState')}${textElement('m:IncludesLastItemInRange', true)}`
    return response('SyncFolderItems', [errorRow('SyncFolderItems', error, content)])
  }
  const lost = (code: string, text: string) => refused(new EwsError(code, text))
  let folder: TwinFolder
  try {
    folder = session.folder(ref)
  } catch {
    return lost('ErrorSyncFolderNotFound', 'The folder to be synchronized could not be found.')
  }
  const known = given ? readState(given.text) : undefined
  if (given && (!known || known.folder !== folder.id || known.generation !== mailbox.generation)) {
    return lost('ErrorInvalidSyncStateData', 'Synchronization state data is corrupt or otherwise invalid.')
  }
  const failure = session.takeRowFailure()
  if (failure) return refused(failure)
  const since = known?.seq ?? 0
  const all = mailbox.changesSince(folder, since)
  const page = all.slice(0, max)
  const isLast = page.length === all.length
  const state: SyncState = {
    folder: folder.id,
    seq: isLast ? mailbox.seq : (page.at(-1)?.seq ?? since),
    generation: mailbox.generation,
  }
  // Bodies and attachments are never told here, whatever is asked for.
  const asked = readShape(request)
  const fields = new Set([...asked.fields].filter(name => name !== 'Body' && name !== 'Attachments'))
  const shape = { ...asked, withMime: false, isWhole: false, fields }
  const changes = page.map(({ kind, id, version, item }) => {
    const itemId = element('t:ItemId', { Id: id, ChangeKey: changeKey(version) })
    if (item && (kind === 'Create' || kind === 'Update'))
      return element(`t:${kind}`, {}, showItem(mailbox, item, shape))
    return kind === 'Delete'
      ? element('t:Delete', {}, itemId)
      : element('t:ReadFlagChange', {}, itemId, textElement('t:IsRead', item?.fields.get('IsRead')?.text === 'true'))
  })
  const content = [
    textElement('m:SyncState', Buffer.from(JSON.stringify(state)).toString('base64')),
    textElement('m:IncludesLastItemInRange', isLast),
    element('m:Changes', {}, ...changes),
  ]
  return response('SyncFolderItems', [row('SyncFolderItems', content.join(''))])
}
