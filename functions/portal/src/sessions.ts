// One file to its place: what is small in one request, what is not by an upload session. Its parts go straight to the storage, several at
// the same time, each of exactly the size that was signed for it; the server alone makes them a file. What has been received counts after
// a pause, a cut or a retry.

const PARTS_AT_ONCE = 3
const TRIES = 6
const FIRST_PAUSE = 800
const LONGEST_PAUSE = 15_000
/** Without a byte sent for so long, a connection is dead. */
const SILENCE = 60_000

interface Part {
  number: number
  size: number
  url: string
}

interface Session {
  id: string
  size: number
  part_size: number
  part_count: number
  received: number[]
  parts: Part[]
}

/** What does not get better by trying again. */
export class Refused extends Error {}

export interface Target {
  /** The folder's address, with a slash at its end. */
  here: string
  /** From that folder. */
  path: string
  file: Blob & { lastModified?: number }
  small: number
}

/** Where a transfer stands; kept between a pause and what follows it. */
export interface State {
  session?: string
  /** Whether all bytes are there and only the end is missing. */
  sent?: boolean
}

const wait = (milliseconds: number, signal: AbortSignal) =>
  new Promise<void>((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(new DOMException('stopped', 'AbortError'))
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, milliseconds)
    signal.addEventListener('abort', stop, { once: true })
  })

/** Until the browser says that it is connected; it may say so too early. */
async function connected(signal: AbortSignal): Promise<void> {
  while (!navigator.onLine) await wait(500, signal)
}

async function patiently<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  let pause = FIRST_PAUSE
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted()
    await connected(signal)
    try {
      return await work()
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof Refused || attempt >= TRIES) throw error
      await wait(pause * (0.75 + Math.random() / 2), signal)
      pause = Math.min(pause * 2, LONGEST_PAUSE)
    }
  }
}

async function message(answer: Response): Promise<string> {
  try {
    const body = await answer.json()
    return String(body.message ?? body.error?.message ?? answer.statusText)
  } catch {
    return answer.statusText || `Status ${answer.status}`
  }
}

async function ask(url: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
  const answer = await fetch(url, {
    ...init,
    signal,
    headers: { 'x-towpath-page': '1', ...init.headers },
    credentials: 'same-origin',
    redirect: 'error',
  })
  if (answer.ok) return answer
  const text = await message(answer)
  const passing = answer.status >= 500 || answer.status === 429 || answer.status === 408
  throw passing ? new Error(text) : new Refused(text)
}

function encoded(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

/** A PUT that tells how far it is, which fetch does not. */
function put(url: string, body: Blob, headers: Record<string, string>, signal: AbortSignal, progress: (bytes: number) => void) {
  return new Promise<void>((resolve, reject) => {
    const request = new XMLHttpRequest()
    let silence: ReturnType<typeof setTimeout>
    const heard = () => {
      clearTimeout(silence)
      silence = setTimeout(() => request.abort(), SILENCE)
    }
    const end = () => {
      clearTimeout(silence)
      signal.removeEventListener('abort', stop)
    }
    const stop = () => request.abort()
    signal.addEventListener('abort', stop, { once: true })
    request.open('PUT', url)
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value)
    request.upload.addEventListener('progress', (event) => {
      heard()
      progress(event.loaded)
    })
    request.addEventListener('load', () => {
      end()
      if (request.status >= 200 && request.status < 300) {
        progress(body.size)
        resolve()
        return
      }
      let text = `Status ${request.status}`
      try {
        text = JSON.parse(request.responseText).message ?? text
      } catch {
        // the storage answers in XML, which is for nobody to read
      }
      const final = request.status >= 400 && request.status < 500 && ![403, 408, 429].includes(request.status)
      // an address whose time is over is a 403 of the storage: another one is asked for
      reject(final || (request.status === 403 && !url.startsWith('http')) ? new Refused(text) : new Error(text))
    })
    const failed = () => {
      end()
      reject(signal.aborted ? new DOMException('stopped', 'AbortError') : new Error('The connection was interrupted'))
    }
    request.addEventListener('error', failed)
    request.addEventListener('abort', failed)
    heard()
    request.send(body)
  })
}

/** Sends a file; `state` says where an earlier try got to. */
export async function send(target: Target, state: State, signal: AbortSignal, progress: (bytes: number) => void): Promise<void> {
  const { file, here, path, small } = target
  if (file.size <= small) {
    const headers: Record<string, string> = { 'x-towpath-page': '1', 'content-type': 'application/octet-stream' }
    if (file.lastModified !== undefined) headers['x-towpath-modified'] = String(file.lastModified)
    await patiently(signal, () => put(here + encoded(path), file, headers, signal, progress))
    return
  }
  let session = await open(target, state, signal)
  if (!state.sent) {
    session = await parts(target, session, signal, progress)
    state.sent = true
  }
  await patiently(signal, () => ask(`${here}?do=complete&upload=${session.id}`, { method: 'POST' }, signal))
  delete state.session
}

/** The session that was begun, if it is still there, or a new one. */
async function open(target: Target, state: State, signal: AbortSignal): Promise<Session> {
  const { file, here, path } = target
  if (state.session) {
    const address = `${here}?upload=${state.session}`
    try {
      return await patiently(signal, async () => (await ask(address, {}, signal)).json())
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      delete state.session
      state.sent = false
    }
  }
  const body = JSON.stringify({ path, size: file.size, last_modified: file.lastModified })
  const init = { method: 'POST', body, headers: { 'content-type': 'application/json' } }
  const session: Session = await patiently(signal, async () => (await ask(`${here}?do=begin`, init, signal)).json())
  state.session = session.id
  return session
}

async function parts(target: Target, session: Session, signal: AbortSignal, progress: (bytes: number) => void): Promise<Session> {
  const { file, here } = target
  const size = (number: number) => Math.min(session.part_size, session.size - (number - 1) * session.part_size)
  const done = new Map<number, number>(session.received.map((number) => [number, size(number)]))
  const tell = () => progress([...done.values()].reduce((sum, bytes) => sum + bytes, 0))
  tell()
  const addresses = new Map<number, string>(session.parts.map((part) => [part.number, part.url]))
  const more = async (number: number) => {
    const answer = await ask(`${here}?upload=${session.id}&part=${number}`, {}, signal)
    const found: Session = await answer.json()
    for (const part of found.parts) addresses.set(part.number, part.url)
  }
  const received = new Set(session.received)
  const missing: number[] = []
  for (let number = 1; number <= session.part_count; number += 1) if (!received.has(number)) missing.push(number)
  // of several that fail, the first stops the others
  const all = new AbortController()
  const stop = () => all.abort()
  signal.addEventListener('abort', stop, { once: true })
  const work = async () => {
    for (let number = missing.shift(); number !== undefined; number = missing.shift()) {
      const part = number
      const start = (part - 1) * session.part_size
      const bytes = file.slice(start, start + size(part))
      await patiently(all.signal, async () => {
        if (!addresses.has(part)) await more(part)
        const address = addresses.get(part)
        if (address === undefined) throw new Refused('The upload has no such part')
        try {
          await put(address, bytes, {}, all.signal, (sent) => {
            done.set(part, sent)
            tell()
          })
        } catch (error) {
          done.delete(part)
          addresses.delete(part)
          tell()
          throw error
        }
      })
    }
  }
  try {
    await Promise.all(Array.from({ length: PARTS_AT_ONCE }, work))
  } catch (error) {
    all.abort()
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
  return session
}

/** Throws away what was begun; what fails here ends by itself after a day. */
export async function forget(here: string, state: State): Promise<void> {
  if (!state.session) return
  const address = `${here}?do=abort&upload=${state.session}`
  delete state.session
  try {
    await fetch(address, { method: 'POST', headers: { 'x-towpath-page': '1' }, credentials: 'same-origin', keepalive: true })
  } catch {
    // gone offline
  }
}
