import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium, type LaunchOptions, type Page } from 'playwright-core'
import { test } from 'vitest'

const CACHE = join(import.meta.dirname, '../../node_modules/.cache')
const VERSION = '153.0.0'
const isLinuxX64 = process.platform === 'linux' && process.arch === 'x64'
const ownPath = [process.env.CHROMIUM_PATH, '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'].find(
  (path) => path !== undefined && existsSync(path),
)

/** A test that needs a browser. On Linux x64 there always is one, from npm; elsewhere Chrome has to be installed. */
export const inBrowser = test.skipIf(!isLinuxX64 && ownPath === undefined)

/** Starts Chromium: that of `CHROMIUM_PATH`, that of the npm package, or the installed Chrome. */
export async function launchChrome(): Promise<Browser> {
  if (ownPath === undefined && !isLinuxX64) throw new Error('No browser: set CHROMIUM_PATH')
  return chromium.launch(
    ownPath === undefined ? await npmChromium() : { executablePath: ownPath, args: ['--no-sandbox'] },
  )
}

/**
 * Chromium from the package @sparticuz/chromium, with the libraries and the font that it brings along, so that the
 * machine needs glibc and nothing else.
 */
async function npmChromium(): Promise<LaunchOptions> {
  const home = join(CACHE, `chromium-${VERSION}`)
  if (!existsSync(home)) await unpack(home)
  return {
    executablePath: join(home, 'chromium'),
    // Not the arguments of the package: its `--single-process` ends the browser with its first context, and its
    // `--disable-web-security` turns off what the tests of foreign origins rely on.
    args: ['--no-sandbox', '--disable-gpu', '--font-render-hinting=none'],
    env: {
      ...process.env,
      LD_LIBRARY_PATH: join(home, 'al2023/lib'),
      FONTCONFIG_FILE: join(home, 'fonts.conf'),
    } as Record<string, string>,
  }
}

/** The package unpacks into the temporary folder and takes a half-written file for a finished one: so aside, then rename. */
async function unpack(home: string): Promise<void> {
  const bin = join(dirname(fileURLToPath(import.meta.resolve('@sparticuz/chromium'))), '..', 'bin')
  const scratch = `${home}.${process.pid}`
  mkdirSync(scratch, { recursive: true })
  const { TMPDIR } = process.env
  process.env.TMPDIR = scratch
  try {
    const { inflate } = await import('@sparticuz/chromium')
    for (const name of ['chromium.br', 'al2023.tar.br', 'fonts.tar.br']) await inflate(join(bin, name))
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = TMPDIR
  }
  // The configuration of the package names one fixed temporary folder: in any other, no text would be visible.
  const folders = ['/usr/share/fonts', join(home, 'fonts')].map((path) => `<dir>${path}</dir>`).join('')
  const fonts = `<?xml version="1.0"?><fontconfig>${folders}<cachedir>${join(home, 'fonts-cache')}</cachedir></fontconfig>`
  writeFileSync(join(scratch, 'fonts.conf'), fonts)
  try {
    renameSync(scratch, home)
  } catch {
    // Another process was faster.
    rmSync(scratch, { recursive: true })
  }
}

/** What went wrong in a page: errors of its scripts, and what its console reported as an error. */
export function watchFaults(page: Page): string[] {
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(`pageerror: ${error.message}`))
  page.on('console', (message) => {
    // A refused request is written to the console as well; the tests look at those themselves.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      faults.push(`console: ${message.text()}`)
    }
  })
  return faults
}
