// Uppy keeps the list of files, their progress and what has failed; this is how one of them is sent. Its plugin for S3 speaks S3's own
// protocol from the browser, where a client makes the file; here only the server does.
import { BasePlugin, EventManager, type PluginOpts, type Uppy } from '@uppy/core'
import { TaskQueue, type Body, type Meta, type UppyFile } from '@uppy/core/utils'
import { forget, send, type State } from './sessions'

const FILES_AT_ONCE = 4

interface Options extends PluginOpts {
  here: string
  small: number
}

export class Sessions<M extends Meta, B extends Body> extends BasePlugin<Options, M, B> {
  #queue = new TaskQueue({ concurrency: FILES_AT_ONCE })
  #states = new Map<string, State>()

  constructor(uppy: Uppy<M, B>, options: Options) {
    super(uppy, options)
    this.type = 'uploader'
    this.id = 'TowpathSessions'
  }

  override install(): void {
    this.uppy.setState({ capabilities: { ...this.uppy.getState().capabilities, resumableUploads: true } })
    this.uppy.addUploader(this.#upload)
    this.uppy.on('file-removed', this.#removed)
  }

  override uninstall(): void {
    this.uppy.removeUploader(this.#upload)
    this.uppy.off('file-removed', this.#removed)
  }

  #removed = (file: UppyFile<M, B>) => {
    const state = this.#states.get(file.id)
    this.#states.delete(file.id)
    if (state) void forget(this.opts.here, state)
  }

  #upload = async (ids: string[]): Promise<void> => {
    const files = this.uppy.getFilesByIds(ids).filter((file) => !file.error || !file.progress.uploadComplete)
    this.uppy.emit('upload-start', files)
    await Promise.allSettled(files.map((file) => this.#queue.add(() => this.#one(file))))
  }

  async #one(file: UppyFile<M, B>): Promise<void> {
    if (!this.uppy.getFile(file.id) || !(file.data instanceof Blob)) return
    const data = file.data
    const state = this.#states.get(file.id) ?? {}
    this.#states.set(file.id, state)
    const events = new EventManager(this.uppy)
    const path = String(file.meta['relativePath'] || file.name).replace(/^\/+/, '')
    const started = Date.now()
    let removed = false
    let paused = false
    let attempt = new AbortController()
    let resume: (() => void) | undefined
    const end = () => {
      removed = true
      attempt.abort()
      resume?.()
    }
    const pause = () => {
      paused = true
      attempt.abort()
    }
    const goOn = () => {
      paused = false
      resume?.()
    }
    events.onFileRemove(file.id, end)
    events.onCancelAll(file.id, end)
    events.onPauseAll(file.id, pause)
    events.onResumeAll(file.id, goOn)
    const progress = (bytesUploaded: number) => {
      if (removed || !this.uppy.getFile(file.id)) return
      this.uppy.emit('upload-progress', this.uppy.getFile(file.id), { uploadStarted: started, bytesUploaded, bytesTotal: data.size })
    }
    try {
      while (!removed) {
        if (paused) await new Promise<void>((go) => { resume = go })
        resume = undefined
        if (removed) return
        attempt = new AbortController()
        try {
          await send({ here: this.opts.here, small: this.opts.small, path, file: data }, state, attempt.signal, progress)
          this.#states.delete(file.id)
          this.uppy.emit('upload-success', this.uppy.getFile(file.id), { status: 201, body: {} as B })
          return
        } catch (error) {
          if (removed) return
          if (paused) continue
          throw error
        }
      }
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error))
      this.uppy.emit('upload-error', this.uppy.getFile(file.id), failure)
      throw failure
    } finally {
      events.remove()
    }
  }
}
