// `towpath-dev` for one run: its own ports, its own folder, ended with the run.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PORTS = 10

function isFree(port) {
  return new Promise((resolve) => {
    const server = net.createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Ten ports in a row that nobody has. */
async function portBase() {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const base = 20_000 + Math.floor(Math.random() * 30_000)
    const free = await Promise.all(Array.from({ length: PORTS }, (_, at) => isFree(base + at)))
    if (free.every(Boolean)) return base
  }
  throw new Error('no ten free ports in a row')
}

export class Stack {
  static async start(programs) {
    const folder = mkdtempSync(join(tmpdir(), 'towpath-browser-'))
    const base = await portBase()
    const program = spawn(join(programs, 'towpath-dev'), ['--port-base', String(base)], {
      env: { ...process.env, TOWPATH_STATE_DIR: folder },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const stack = new Stack(program, folder)
    await stack.#ready()
    const lines = readFileSync(join(folder, 'dev.env'), 'utf8').trim().split('\n')
    stack.env = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)))
    await stack.api('PATCH', '', { RateLimit: { DefaultRequests: 100_000 } })
    return stack
  }

  constructor(program, folder) {
    this.program = program
    this.folder = folder
  }

  #ready() {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('towpath-dev is not ready after a minute')), 60_000)
      let said = ''
      this.program.stdout.on('data', (data) => {
        said += data
        if (said.includes('\nready')) {
          clearTimeout(late)
          resolve()
        }
      })
      this.program.once('exit', (code) => reject(new Error(`towpath-dev ended with ${code}: ${said}`)))
    })
  }

  async stop() {
    const ended = new Promise((resolve) => this.program.once('exit', resolve))
    this.program.kill('SIGTERM')
    await ended
    rmSync(this.folder, { recursive: true, force: true })
  }

  async api(method, path, body) {
    const address = `${this.env.TOWPATH_API_URL}/organizations/${this.env.TOWPATH_ORGANIZATION_ID}${path}`
    const headers = { authorization: `Bearer ${this.env.TOWPATH_API_KEY}`, 'content-type': 'application/json' }
    const answer = await fetch(address, { method, headers, body: body && JSON.stringify(body) })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }

  link(fields) {
    return this.api('POST', '/portal-links', fields)
  }

  async #token() {
    const { TOWPATH_API_URL, TOWPATH_USER, TOWPATH_PASSWORD } = this.env
    const basic = Buffer.from(`${TOWPATH_USER}:${TOWPATH_PASSWORD}`).toString('base64')
    const answer = await fetch(`${TOWPATH_API_URL}/api/v2/user/token`, { headers: { authorization: `Basic ${basic}` } })
    this.token ??= (await answer.json()).access_token
    return this.token
  }

  /** The files of the root credential, over the API. */
  async files(method, rest, body) {
    const headers = { authorization: `Bearer ${await this.#token()}` }
    return fetch(`${this.env.TOWPATH_API_URL}/api/v2/user${rest}`, { method, headers, body })
  }

  async put(path, content) {
    const answer = await this.files('POST', `/files/upload?mkdir_parents=true&path=${encodeURIComponent(path)}`, content)
    if (answer.status !== 201) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
  }

  async get(path) {
    const answer = await this.files('GET', `/files?path=${encodeURIComponent(path)}`)
    return answer.ok ? Buffer.from(await answer.arrayBuffer()) : undefined
  }

  async names(path) {
    const answer = await this.files('GET', `/dirs?path=${encodeURIComponent(path)}`)
    return answer.ok ? (await answer.json()).map((entry) => entry.name) : []
  }
}
