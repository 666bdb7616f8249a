// Uploads files with tus-js-client, one after the other, and says how long it took.
//
// upload_peer.mjs --endpoint URL [--chunk BYTES] [--at-once N] [FILE…]
//
// Without files it says "ready" and takes one a line from its standard input, so that nobody waits for
// an interpreter's start; each is answered by a line of JSON. With files it prints one line of JSON.
// --chunk 0 sends each file in one PATCH; the default is the 5 MiB of the reference set-up. The
// connection is kept between requests, which is the better for it.
import fs from 'node:fs'
import http from 'node:http'
import readline from 'node:readline'
import { parseArgs } from 'node:util'
import tus from 'tus-js-client'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    endpoint: { type: 'string' },
    chunk: { type: 'string', default: String(5 * 1024 * 1024) },
    'at-once': { type: 'string', default: '1' },
  },
})

const agent = new http.Agent({ keepAlive: true, noDelay: true })
const begun = performance.now()
const seconds = () => (performance.now() - begun) / 1000 // since the start of everything

function send(file) {
  return new Promise((resolve, reject) => {
    const upload = new tus.Upload(fs.createReadStream(file), {
      endpoint: values.endpoint,
      httpStack: new tus.DefaultHttpStack({ agent }),
      chunkSize: Number(values.chunk) || Infinity,
      retryDelays: [0, 1000, 3000, 5000],
      storeFingerprintForResuming: false,
      metadata: { upload_id: 'bench', filename: 'bench.zip', filetype: 'application/zip' },
      onError: reject,
      onSuccess: () => resolve({ file, url: upload.url, bytes: fs.statSync(file).size, seconds: seconds() }),
    })
    upload.start()
  })
}

async function sendAll(files) {
  const waiting = [...files]
  const uploads = []
  async function worker() {
    while (waiting.length) uploads.push(await send(waiting.shift()))
  }
  await Promise.all(Array.from({ length: Number(values['at-once']) }, worker))
  console.log(JSON.stringify({ uploads, seconds: seconds() }))
}

async function sendAsTold() {
  console.log('ready')
  for await (const file of readline.createInterface({ input: process.stdin }))
    console.log(JSON.stringify(await send(file)))
}

try {
  await (positionals.length ? sendAll(positionals) : sendAsTold())
} catch (error) {
  console.error(`upload_peer: ${error.message}`)
  process.exit(1)
}
agent.destroy()
