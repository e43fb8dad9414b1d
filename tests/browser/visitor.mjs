// A browser with somebody before it, who fails the run on whatever a page may not do.
import { chromium } from 'playwright-core'
import axe from 'axe-core'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

export async function launch() {
  const program = PROGRAMS.find(existsSync)
  if (!program) throw new Error(`there is no Chromium at ${PROGRAMS.join(', ')}`)
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--ignore-certificate-errors']
  return chromium.launch({ executablePath: program, args })
}

export class Visitor {
  constructor(context, page, wrong, pictures) {
    Object.assign(this, { context, page, wrong, pictures })
  }

  /** Somebody new. `own` are the servers that the page may talk to. */
  static async come(browser, { own, pictures, ...options }) {
    const context = await browser.newContext({ acceptDownloads: true, ignoreHTTPSErrors: true, locale: 'en-GB', timezoneId: 'Europe/Madrid', ...options })
    const page = await context.newPage()
    const wrong = []
    page.on('console', (message) => {
      const text = message.text()
      // a refused password and a cut connection are what some flows are about
      const expected = /status of 40[134]|net::ERR_INTERNET_DISCONNECTED|net::ERR_FAILED/.test(text)
      const told = text.startsWith('[Uppy]') && text.includes('may not be replaced')
      if (message.type() === 'error' && !expected && !told) wrong.push(`console: ${text}`)
    })
    page.on('pageerror', (error) => wrong.push(`script: ${error.stack ?? error}`))
    page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url())
      if (protocol.startsWith('http') && !own.includes(origin)) wrong.push(`a request to ${origin}`)
    })
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`)
      })
    })
    mkdirSync(pictures, { recursive: true })
    return new Visitor(context, page, wrong, pictures)
  }

  async picture(name) {
    await this.page.screenshot({ path: join(this.pictures, `${name}.png`), fullPage: false })
  }

  /** No serious problem for who cannot see or point. */
  async usable(where) {
    const session = await this.context.newCDPSession(this.page)
    // by the debugger and not by a script element, which the page's policy forbids
    await session.send('Runtime.evaluate', { expression: axe.source })
    const expression = 'axe.run(document, { resultTypes: ["violations"] }).then((found) => JSON.stringify(found.violations))'
    const { result } = await session.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    await session.detach()
    const serious = JSON.parse(result.value).filter(({ impact }) => impact === 'serious' || impact === 'critical')
    if (serious.length > 0) {
      const said = serious.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).join(' ')}`)
      throw new Error(`${where}: ${said.join('\n')}`)
    }
  }

  async leave() {
    await this.context.close()
    if (this.wrong.length > 0) throw new Error(this.wrong.join('\n'))
  }
}
