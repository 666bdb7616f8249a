// The Tus reference server with its file store, as it is: where the benchmark's uploads go.
//
// tus_store.mjs --folder DIR [--host ADDRESS] [--port N]
//
// Ends with its standard input, and so with whoever started it.
//
// Prints a line of JSON for each event, with the monotonic clock's nanoseconds (`at`), which every
// process on the machine reads alike: "listening" (url), "first_byte" of each PATCH's body (id,
// offset), "answered" (method, status, id), "finished" when the last byte of an upload is stored and
// the answer that says so is written (id).
import http from 'node:http'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { EVENTS, Server } from '@tus/server'
import { FileStore } from '@tus/file-store'

const { values } = parseArgs({
  options: {
    folder: { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '0' },
  },
})

const tell = (event, more) =>
  console.log(JSON.stringify({ event, at: Number(process.hrtime.bigint()), ...more }))

const tus = new Server({ path: '/files', datastore: new FileStore({ directory: values.folder }) })
tus.on(EVENTS.POST_FINISH, (_req, _res, upload) => tell('finished', { id: upload.id }))

// What the parser pushes is what came; a reader of its own would take the bytes from the server.
function tellFirstByte(req, id) {
  const push = req.push
  req.push = function (chunk, ...rest) {
    req.push = push
    if (chunk) tell('first_byte', { id, offset: Number(req.headers['upload-offset']) })
    return push.call(this, chunk, ...rest)
  }
}

const server = http.createServer((req, res) => {
  const id = path.basename(req.url)
  if (req.method === 'PATCH') tellFirstByte(req, id)
  res.on('finish', () => tell('answered', { method: req.method, status: res.statusCode, id }))
  tus.handle(req, res)
})
server.requestTimeout = 0
server.listen(Number(values.port), values.host, () => {
  tell('listening', { url: `http://${values.host}:${server.address().port}/files/` })
})
process.stdin.resume().on('end', () => process.exit(0))
process.on('SIGTERM', () => {
  server.closeAllConnections()
  server.close(() => process.exit(0))
})
