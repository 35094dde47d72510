/**
 * The servers of Node. An import of `node:http` reads all that the module offers, also its WebSocket, and with that the
 * whole client behind fetch is loaded: a twentieth of the time in which a hub starts. Asked for like this it stays away.
 */
export const { createServer: createHttpServer, STATUS_CODES: statusTexts } = process.getBuiltinModule('node:http')
export const { createServer: createHttpsServer } = process.getBuiltinModule('node:https')
