// The place for uploads: choosing and dropping files and folders, and how far each of them is.
import Uppy from '@uppy/core'
import { getDroppedFiles } from '@uppy/core/utils'
import { human, left } from './sizes'
import { Sessions } from './uploader'

/** Rows that are shown; of more files, only those that move or have failed. */
const ROWS = 200

interface Row {
  item: HTMLLIElement
  bar: HTMLProgressElement
  text: HTMLElement
}

function part<T extends Element>(place: ParentNode, selector: string, kind: new () => T): T {
  const found = place.querySelector(selector)
  if (!(found instanceof kind)) throw new Error(`the page has no ${selector}`)
  return found
}

export function uploads(place: HTMLElement): void {
  const here = place.dataset['here'] ?? location.pathname
  const uppy = new Uppy({ autoProceed: true, allowMultipleUploadBatches: true })
  uppy.use(Sessions, { here, small: Number(place.dataset['small'] ?? 0) })

  const drop = part(place, '.drop', HTMLElement)
  const transfers = part(place, '#transfers', HTMLElement)
  const list = part(place, '#list', HTMLUListElement)
  const total = part(place, '#total', HTMLProgressElement)
  const summary = part(place, '#summary', HTMLElement)
  const pause = part(place, '#pause', HTMLButtonElement)
  const retry = part(place, '#retry', HTMLButtonElement)
  const cancel = part(place, '#cancel', HTMLButtonElement)
  const clear = part(place, '#clear', HTMLButtonElement)
  const files = picker(false)
  const folder = picker(true)
  part(place, '#files-button', HTMLButtonElement).addEventListener('click', () => files.click())
  part(place, '#folder-button', HTMLButtonElement).addEventListener('click', () => folder.click())
  const rows = new Map<string, Row>()
  let paused = false
  let began = 0
  let drawing = 0

  function picker(folders: boolean): HTMLInputElement {
    const input = document.createElement('input')
    input.type = 'file'
    input.multiple = true
    input.hidden = true
    input.id = folders ? 'pick-folder' : 'pick-files'
    input.tabIndex = -1
    if (folders) input.webkitdirectory = true
    input.addEventListener('change', () => {
      add([...(input.files ?? [])].map((file) => ({ file, path: file.webkitRelativePath || file.name })))
      input.value = ''
    })
    place.append(input)
    return input
  }

  function add(chosen: { file: File; path: string }[]): void {
    if (chosen.length === 0) return
    if (uppy.getFiles().every((file) => file.progress.uploadComplete || file.error)) began = Date.now()
    transfers.hidden = false
    const descriptors = chosen.map(({ file, path }) => ({
      name: file.name,
      type: file.type,
      data: file,
      meta: { relativePath: path.replace(/^\/+/, '') },
      source: 'page',
    }))
    try {
      uppy.addFiles(descriptors)
    } catch (error) {
      // what is chosen twice is sent once
      uppy.log(String(error))
    }
    draw()
  }

  for (const name of ['dragenter', 'dragover']) {
    document.addEventListener(name, (event) => {
      event.preventDefault()
      drop.classList.add('over')
    })
  }
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) drop.classList.remove('over')
  })
  document.addEventListener('drop', (event) => {
    event.preventDefault()
    drop.classList.remove('over')
    if (!event.dataTransfer) return
    void getDroppedFiles(event.dataTransfer).then((dropped) => {
      add(dropped.map((file) => {
        const path = (file as File & { relativePath?: string }).relativePath
        return { file, path: path || file.name }
      }))
    })
  })
  document.addEventListener('paste', (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])]
    if (pasted.length > 0) add(pasted.map((file) => ({ file, path: file.name })))
  })

  pause.addEventListener('click', () => {
    paused = !paused
    if (paused) uppy.pauseAll()
    else uppy.resumeAll()
    pause.textContent = paused ? 'Go on' : 'Pause'
    draw()
  })
  retry.addEventListener('click', () => {
    retry.hidden = true
    void uppy.retryAll()
    draw()
  })
  cancel.addEventListener('click', () => {
    for (const file of uppy.getFiles()) if (!file.progress.uploadComplete) uppy.removeFile(file.id)
    if (paused) pause.click()
    draw()
  })
  clear.addEventListener('click', () => location.reload())

  uppy.on('upload-progress', () => draw())
  uppy.on('upload-success', () => draw())
  uppy.on('upload-error', () => draw())
  uppy.on('file-removed', (file) => {
    rows.get(file.id)?.item.remove()
    rows.delete(file.id)
    draw()
  })
  uppy.on('complete', () => draw())
  window.addEventListener('online', draw)
  window.addEventListener('offline', draw)
  window.addEventListener('beforeunload', (event) => {
    if (uppy.getFiles().some((file) => !file.progress.uploadComplete && !file.error)) event.preventDefault()
  })

  /** At most once for each picture. */
  function draw(): void {
    if (drawing) return
    drawing = requestAnimationFrame(() => {
      drawing = 0
      paint()
    })
  }

  function row(id: string, name: string): Row {
    const known = rows.get(id)
    if (known) return known
    const item = document.createElement('li')
    const label = document.createElement('bdi')
    label.className = 'file-name'
    label.textContent = name
    const text = document.createElement('span')
    text.className = 'state'
    const bar = document.createElement('progress')
    bar.max = 100
    bar.value = 0
    bar.setAttribute('aria-label', name)
    item.append(label, text, bar)
    list.append(item)
    const made = { item, bar, text }
    rows.set(id, made)
    return made
  }

  function paint(): void {
    const all = uppy.getFiles()
    let bytes = 0
    let sent = 0
    let done = 0
    let failed = 0
    for (const file of all) {
      const size = file.size ?? 0
      const complete = Boolean(file.progress.uploadComplete)
      const moved = complete ? size : Number(file.progress.bytesUploaded || 0)
      bytes += size
      sent += moved
      if (complete) done += 1
      if (file.error) failed += 1
      const shown = rows.has(file.id) || rows.size < ROWS || Boolean(file.error)
      if (!shown) continue
      const { item, bar, text } = row(file.id, String(file.meta['relativePath'] ?? file.name))
      bar.value = size > 0 ? (100 * moved) / size : complete ? 100 : 0
      bar.hidden = complete || Boolean(file.error)
      item.className = complete ? 'done' : file.error ? 'failed' : 'moving'
      text.textContent = file.error
        ? file.error
        : complete
          ? `Sent, ${human(size)}`
          : moved > 0
            ? `${human(moved)} of ${human(size)}`
            : `Waiting, ${human(size)}`
    }
    const open = all.length - done - failed
    total.value = bytes > 0 ? (100 * sent) / bytes : all.length > 0 ? (100 * done) / all.length : 0
    total.hidden = open === 0
    pause.hidden = open === 0
    cancel.hidden = open === 0 && failed === 0
    retry.hidden = failed === 0 || open > 0
    clear.hidden = open > 0 || done === 0
    place.dataset['state'] = open > 0 ? 'moving' : failed > 0 ? 'failed' : done > 0 ? 'done' : 'empty'
    summary.textContent = said(all.length, { open, done, failed, bytes, sent })
    if (all.length === 0) transfers.hidden = true
  }

  function said(count: number, now: { open: number; done: number; failed: number; bytes: number; sent: number }): string {
    const files = (number: number) => `${number} ${number === 1 ? 'file' : 'files'}`
    if (now.open === 0) {
      if (now.failed > 0) return `${files(now.failed)} of ${count} could not be sent`
      return now.done > 0 ? `${files(now.done)} sent, ${human(now.bytes)}` : ''
    }
    if (!navigator.onLine) return `No connection. Sending goes on when there is one (${now.done} of ${files(count)} sent)`
    if (paused) return `Paused: ${now.done} of ${files(count)} sent`
    const seconds = (Date.now() - began) / 1000
    const speed = seconds > 3 ? now.sent / seconds : 0
    const rest = speed > 0 ? left((now.bytes - now.sent) / speed) : ''
    const parts = [`${now.done} of ${files(count)} sent`, `${human(now.sent)} of ${human(now.bytes)}`, rest]
    return parts.filter(Boolean).join(' · ')
  }
}
