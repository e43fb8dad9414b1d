// What partners do with share links, in a real browser: `node run.mjs [--quick] <folder of the programs> <folder for pictures>`.
import { createHash, randomBytes } from 'node:crypto'
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Stack } from './stack.mjs'
import { Visitor, launch } from './visitor.mjs'

const MIB = 1 << 20
const PASSWORD = 'a long password 1'
const quick = process.argv.includes('--quick')
const [programs, pictures] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const chosen = process.env.TOWPATH_TEST_FLOW
const sum = (bytes) => createHash('sha256').update(bytes).digest('hex')
const here = mkdtempSync(join(tmpdir(), 'towpath-files-'))
const stack = await Stack.start(programs)
const browser = await launch()
const own = [stack.env.TOWPATH_API_URL, stack.env.AWS_ENDPOINT_URL, stack.env.TOWPATH_HTTPS_URL]
const come = (options = {}) => Visitor.come(browser, { own, pictures, ...options })
const phone = { viewport: { width: 390, height: 780 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }
const desktop = { viewport: { width: 1280, height: 860 } }
const dark = { colorScheme: 'dark' }

function file(name, bytes) {
  const path = join(here, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, bytes)
  return path
}

const sent = (page, within = 60_000) => page.waitForSelector('#upload[data-state=done]', { timeout: within })

const flows = {
  /** The one that `make test` runs. */
  async 'a password, a folder, a download, and files that are sent'() {
    const report = randomBytes(300_000)
    await stack.put('/first/Report – final.pdf', report)
    await stack.put('/first/sub folder/inside.txt', 'inside')
    const link = await stack.link({ Path: '/first/', Permission: 'read-write', Password: PASSWORD, AccessLimit: 1 })
    const visitor = await come(desktop)
    const { page } = visitor
    await page.goto(link.Url)
    await visitor.usable('password')
    await visitor.picture('password')
    await page.fill('#password', 'not this one')
    await page.click('button[type=submit]')
    await page.waitForSelector('#wrong')
    await visitor.usable('wrong password')
    await visitor.picture('password-wrong')
    await page.fill('#password', PASSWORD)
    await page.click('button[type=submit]')
    await page.waitForSelector('table.entries')
    await visitor.usable('folder')
    await visitor.picture('folder')
    const row = page.locator('tr', { hasText: 'Report – final.pdf' })
    assert.match(await row.locator('time').textContent(), /20\d\d/)
    const [download] = await Promise.all([page.waitForEvent('download'), row.locator('a[title=Download]').click()])
    assert.equal(download.suggestedFilename(), 'Report – final.pdf')
    assert.equal(sum(readFileSync(await download.path())), sum(report))
    await page.click('text=sub folder')
    await page.waitForSelector('text=inside.txt')
    await page.click('nav.crumbs a')
    await page.waitForSelector('text=Report – final.pdf')

    const large = randomBytes(20 * MIB + 3)
    const chosen = [file('large.bin', large), file('small.txt', 'small'), file('empty.dat', '')]
    await page.setInputFiles('#pick-files', chosen)
    await sent(page)
    await visitor.picture('sent')
    assert.equal(sum(await stack.get('/first/large.bin')), sum(large))
    assert.equal((await stack.get('/first/small.txt')).toString(), 'small')
    assert.equal((await stack.get('/first/empty.dat')).length, 0)
    await page.click('#clear')
    await page.waitForSelector('text=large.bin')

    // somebody else comes too late
    const late = await come(desktop)
    const answer = await late.page.goto(link.Url)
    assert.equal(answer.status(), 404)
    await late.usable('a link that is used up')
    await late.picture('gone')
    await late.leave()
    await visitor.leave()
  },

  async 'all as a ZIP, from a node'() {
    await stack.put('/zip/a.txt', 'a')
    await stack.put('/zip/sub/b.txt', 'b')
    const link = await stack.link({ Path: '/zip/' })
    const visitor = await come(desktop)
    await visitor.page.goto(link.Url)
    const [download] = await Promise.all([visitor.page.waitForEvent('download'), visitor.page.click('text=Download all')])
    assert.match(download.suggestedFilename(), /\.zip$/)
    const bytes = readFileSync(await download.path())
    assert.equal(bytes.subarray(0, 2).toString(), 'PK')
    for (const name of ['a.txt', 'sub/b.txt']) assert.ok(bytes.includes(name), name)
    await visitor.leave()
  },

  async 'a file of 200 MiB, a pause and a cut'() {
    const link = await stack.link({ Path: '/large/', Permission: 'read-write' })
    const visitor = await come(desktop)
    const { page, context } = visitor
    await page.goto(link.Url)
    const large = randomBytes(200 * MIB)
    // slow enough to do something meanwhile
    const cdp = await context.newCDPSession(page)
    const slow = { offline: false, latency: 5, downloadThroughput: -1, uploadThroughput: 25 * MIB }
    await cdp.send('Network.enable')
    await cdp.send('Network.emulateNetworkConditions', slow)
    await page.setInputFiles('#pick-files', file('200.bin', large))
    const value = () => page.$eval('#total', (bar) => bar.value)
    const beyond = (least) => page.waitForFunction((least) => document.querySelector('#total').value > least, least, { timeout: 60_000 })
    await beyond(15)
    await visitor.picture('uploading')
    await page.click('#pause')
    await page.waitForFunction(() => document.querySelector('#summary').textContent.startsWith('Paused'))
    await visitor.picture('paused')
    const paused = await value()
    await page.waitForTimeout(1500)
    assert.ok((await value()) <= paused + 1, 'nothing is sent in a pause')
    await page.click('#pause')
    await beyond(Math.min(paused + 10, 60))
    await context.setOffline(true)
    await page.waitForFunction(() => document.querySelector('#summary').textContent.startsWith('No connection'))
    await visitor.picture('offline')
    await page.waitForTimeout(2000)
    assert.equal(await page.getAttribute('#upload', 'data-state'), 'moving')
    await context.setOffline(false)
    await cdp.send('Network.emulateNetworkConditions', { ...slow, uploadThroughput: -1 })
    await sent(page, 180_000)
    assert.equal(sum(await stack.get('/large/200.bin')), sum(large))
    await visitor.leave()
  },

  async 'a folder of 300 files'() {
    const link = await stack.link({ Path: '/many/', Permission: 'write-only' })
    const visitor = await come(desktop)
    const { page } = visitor
    await page.goto(link.Url)
    await visitor.usable('only uploads')
    await visitor.picture('only-uploads')
    const folder = join(here, 'things')
    const contents = new Map()
    for (let at = 0; at < 300; at += 1) {
      const name = at % 3 === 0 ? `things/deep/er ${at}.txt` : `things/${at}.bin`
      contents.set(name, randomBytes(50 + at))
      file(name, contents.get(name))
    }
    await page.setInputFiles('#pick-folder', folder)
    await sent(page, 120_000)
    assert.match(await page.textContent('#summary'), /^300 files sent/)
    await visitor.picture('folder-sent')
    const got = async ([name, bytes]) => assert.equal(sum(await stack.get(`/many/${name}`)), sum(bytes), name)
    const all = [...contents]
    while (all.length > 0) await Promise.all(all.splice(0, 20).map(got))
    assert.equal((await stack.names('/many/things')).length, 201)
    await visitor.leave()
  },

  async 'files and folders that are dropped, and one that is refused'() {
    await stack.put('/box/taken.txt', 'first')
    const link = await stack.link({ Path: '/box/', Permission: 'write-only' })
    const visitor = await come(desktop)
    const { page } = visitor
    await page.goto(link.Url)
    const data = await page.evaluateHandle(() => {
      const transfer = new DataTransfer()
      transfer.items.add(new File(['dropped'], 'dropped ü.txt'))
      transfer.items.add(new File(['second'], 'taken.txt'))
      return transfer
    })
    await page.dispatchEvent('.drop', 'dragover', { dataTransfer: data })
    await page.dispatchEvent('.drop', 'drop', { dataTransfer: data })
    await page.waitForSelector('#upload[data-state=failed]', { timeout: 60_000 })
    await visitor.usable('a refused file')
    await visitor.picture('refused')
    assert.match(await page.textContent('#summary'), /^1 file of 2 could not be sent/)
    assert.equal((await stack.get('/box/dropped ü.txt')).toString(), 'dropped')
    assert.equal((await stack.get('/box/taken.txt')).toString(), 'first')
    await page.click('#cancel')
    await page.waitForSelector('#upload[data-state=done]')
    await visitor.leave()
  },

  async 'folders are made and files deleted, with the keyboard'() {
    await stack.put('/own/old.txt', 'old')
    const link = await stack.link({ Path: '/own/', Permission: 'read-write' })
    const visitor = await come(desktop)
    const { page } = visitor
    await page.goto(link.Url)
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate(() => document.activeElement.className), 'skip')
    await page.focus('details.folder summary')
    await page.keyboard.press('Enter')
    await page.fill('#folder-name', 'New <b>one</b>'.replace('/', '-'))
    await page.keyboard.press('Enter')
    await page.waitForSelector('text=New <b>one<-b>')
    await page.focus('tr:has-text("old.txt") details.delete summary')
    await page.keyboard.press('Enter')
    await visitor.picture('delete')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.waitForFunction(() => !document.body.textContent.includes('old.txt'))
    assert.equal(await stack.get('/own/old.txt'), undefined)
    await visitor.leave()
  },

  async 'without scripts'() {
    await stack.put('/plain/a.txt', 'a')
    const link = await stack.link({ Path: '/plain/', Permission: 'read-write', AccessLimit: 5 })
    const visitor = await come({ ...desktop, javaScriptEnabled: false })
    const { page } = visitor
    await page.goto(link.Url)
    await visitor.picture('unopened')
    await page.click('button[type=submit]')
    await page.waitForSelector('text=a.txt')
    await page.setInputFiles('#files', file('by form.txt', 'by form'))
    await page.click('button.plain')
    await page.waitForSelector('text=by form.txt')
    await visitor.picture('plain')
    assert.equal((await stack.get('/plain/by form.txt')).toString(), 'by form')
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('a.entry:has-text("a.txt")')])
    assert.equal(readFileSync(await download.path(), 'utf8'), 'a')
    await visitor.leave()
  },

  async 'how it looks'() {
    const names = Array.from({ length: 1000 }, (_, at) => `/look/Delivery note ${String(at + 1).padStart(4, '0')}.pdf`)
    while (names.length > 0) await Promise.all(names.splice(0, 25).map((name) => stack.put(name, 'x'.repeat(1 + Math.floor(Math.random() * 90_000)))))
    for (const name of ['Photos/x', 'Contracts 2026/x', 'مرحبا بالعالم/x', '🎉 Launch/x']) await stack.put(`/look/${name}`, 'x')
    const picture = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkWPe/HgAFBgKA1xTSpQAAAABJRU5ErkJggg==', 'base64')
    await stack.put('/one/Plan.png', picture)
    const links = {
      many: await stack.link({ Path: '/look/' }),
      empty: await stack.link({ Path: '/nothing/' }),
      'empty-to-fill': await stack.link({ Path: '/nothing/', Permission: 'read-write' }),
      file: await stack.link({ Path: '/one/Plan.png' }),
      limited: await stack.link({ Path: '/look/', AccessLimit: 3 }),
      locked: await stack.link({ Path: '/look/', Password: PASSWORD }),
      expired: await stack.link({ Path: '/look/', ExpiresAt: 1_700_000_000_000 }),
      box: await stack.link({ Path: '/nothing/', Permission: 'write-only' }),
    }
    for (const [device, shape] of Object.entries({ desktop, phone })) {
      for (const [light, scheme] of Object.entries({ light: {}, dark })) {
        for (const [name, link] of Object.entries(links)) {
          const visitor = await come({ ...shape, ...scheme })
          await visitor.page.goto(link.Url)
          const wide = await visitor.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
          assert.ok(wide <= 0, `${name} on ${device} is ${wide} pixels too wide`)
          await visitor.picture(`${name}-${device}-${light}`)
          await visitor.usable(`${name} on ${device}, ${light}`)
          await visitor.leave()
        }
      }
    }
  },
}

let failed = 0
for (const [name, flow] of Object.entries(flows)) {
  if (chosen ? !name.includes(chosen) : quick && name !== Object.keys(flows)[0]) continue
  const began = Date.now()
  try {
    await flow()
    console.log(`ok    ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`)
  } catch (error) {
    failed += 1
    console.log(`FAIL  ${name}\n${error.stack ?? error}`)
  }
}
await browser.close()
await stack.stop()
rmSync(here, { recursive: true, force: true })
process.exit(failed > 0 ? 1 : 0)
