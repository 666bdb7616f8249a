// The Tus reference server with a bad day on demand.
//
// tus_server.mjs --folder DIR [--port N] [--token T] [--break-after BYTES[,BYTES…]]
//                [--status METHOD:CODE[:TIMES] …] [--lose-after BYTES] [--max-size BYTES]
//                [--relative] [--lower-head BYTES] [--refuse-above BYTES] [--no-patch]
//                [--hold-after BYTES]
//
// Prints "listening http://127.0.0.1:PORT/files/" once it does, then one line per request. Faults:
//   --break-after   closes the connection of a PATCH once the upload holds that many bytes
//   --status        answers the next TIMES (1) requests of METHOD with CODE
//   --lose-after    forgets an upload, once, as soon as it holds that many bytes
//   --lower-head    cuts the stored bytes to that many at the first HEAD that finds more
//   --refuse-above  answers 413 to a PATCH with a longer body
//   --hold-after    reads no more of a PATCH, once, when the upload holds that many bytes
//   --no-patch      answers 405 to PATCH; POST with X-HTTP-Method-Override works
import fs from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'

const require = createRequire(new URL('../integration/package.json', import.meta.url))
const { Server } = require('@tus/server')
const { FileStore } = require('@tus/file-store')

const { values } = parseArgs({
  options: {
    folder: { type: 'string' },
    port: { type: 'string', default: '0' },
    token: { type: 'string', default: '' },
    'break-after': { type: 'string', default: '' },
    status: { type: 'string', multiple: true, default: [] },
    'lose-after': { type: 'string', default: '' },
    'lower-head': { type: 'string', default: '' },
    'max-size': { type: 'string', default: '' },
    'refuse-above': { type: 'string', default: '' },
    relative: { type: 'boolean', default: false },
    'no-patch': { type: 'boolean', default: false },
    'hold-after': { type: 'string', default: '' },
  },
})

const breaks = values['break-after'].split(',').filter(Boolean).map(Number)
const planned = values.status.map((text) => {
  const [method, code, times] = text.split(':')
  return { method, code: Number(code), times: Number(times ?? 1) }
})
const once = { lose: Number(values['lose-after']), lower: Number(values['lower-head']), hold: Number(values['hold-after']) }

const datastore = new FileStore({ directory: values.folder })
const tus = new Server({
  path: '/files',
  datastore,
  relativeLocation: values.relative,
  ...(values['max-size'] ? { maxSize: Number(values['max-size']) } : {}),
})

const storedPath = (url) => path.join(values.folder, path.basename(url))
const storedSize = (url) => {
  try {
    return fs.statSync(storedPath(url)).size
  } catch {
    return 0
  }
}

function answer(req, res, code) {
  req.resume()
  res.writeHead(code, { 'Tus-Resumable': '1.0.0', 'Content-Length': 0 })
  res.end()
}

// True when the request has had its fault and needs no real answer.
function refused(req, res) {
  const method = req.headers['x-http-method-override'] ?? req.method
  if (values.token && req.headers.authorization !== `Bearer ${values.token}`) {
    answer(req, res, 401)
    return true
  }
  const plan = planned.find((one) => one.method === method && one.times > 0)
  if (plan) {
    plan.times--
    answer(req, res, plan.code)
    return true
  }
  if (values['no-patch'] && req.method === 'PATCH') {
    answer(req, res, 405)
    return true
  }
  const limit = Number(values['refuse-above'])
  if (method === 'PATCH' && limit && Number(req.headers['content-length']) > limit) {
    answer(req, res, 413)
    return true
  }
  return false
}

async function spoil(req) {
  if (once.lose && storedSize(req.url) >= once.lose) {
    once.lose = 0
    await datastore.remove(path.basename(req.url))
  }
  if (req.method === 'HEAD' && once.lower && storedSize(req.url) > once.lower) {
    fs.truncateSync(storedPath(req.url), once.lower)
    once.lower = 0
  }
}

// Cuts or holds the connection in the middle of a PATCH. It counts what the parser pushes, because a
// reader of its own would take the bytes away from the server.
function watch(req) {
  if (req.method !== 'PATCH' || (breaks.length === 0 && !once.hold)) return
  const start = Number(req.headers['upload-offset'])
  const end = start + Number(req.headers['content-length'])
  const at = breaks.find((one) => one >= start && one < end)
  let seen = start
  const push = req.push
  req.push = function (chunk, ...rest) {
    const result = push.call(this, chunk, ...rest)
    seen += chunk?.length ?? 0
    if (at !== undefined && seen > at && !req.socket.destroyed && breaks.includes(at)) {
      breaks.splice(breaks.indexOf(at), 1)
      console.log(`broken at ${seen}`)
      req.socket.destroy()
    }
    if (once.hold && seen > once.hold && seen < end) {
      once.hold = 0
      console.log(`held at ${seen}`)
      hold(req.socket)
    }
    return result
  }
}

// What reads from the socket resumes it again and again, until the other side is gone.
function hold(socket) {
  socket.pause()
  socket.resume = () => socket
  socket._read = () => {}
}

const server = http.createServer(async (req, res) => {
  const offset = req.headers['upload-offset']
  res.on('finish', () =>
    console.log(`${req.method} ${res.statusCode}${offset === undefined ? '' : ` from ${offset}`}`)
  )
  if (!req.url.startsWith('/files')) {
    res.writeHead(404, { 'Content-Type': 'text/html' })
    res.end('<h1>Not here</h1>')
    return
  }
  if (refused(req, res)) return
  await spoil(req)
  watch(req)
  tus.handle(req, res)
})

server.keepAliveTimeout = 60000 // as a proxy before it has it; node alone closes after 5 seconds
server.listen(Number(values.port), '127.0.0.1', () => {
  console.log(`listening http://127.0.0.1:${server.address().port}/files/`)
})
process.on('SIGTERM', () => {
  server.closeAllConnections()
  server.close(() => process.exit(0))
})
