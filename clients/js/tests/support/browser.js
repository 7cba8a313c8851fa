/** A real Chromium, and pages in it that have a client. */

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

import { chromium } from 'playwright-core';

import { Gateway, Redis, installed } from './processes.js';

const FILES = ['ws4redis.js', 'ws4redis.classic.js'];
const HEADS = {
  '/modern': '<script type="module">import { WS4Redis } from "/ws4redis.js"; window.WS4Redis = WS4Redis</script>',
  '/classic': '<script src="/ws4redis.classic.js"></script>',
  '/elsewhere': '',
};

/** A browser, a server for its pages, and a Redis. */
export async function start(t) {
  const browser = await chromium.launch({
    // The same names, in the same order, as tests/support/browser.rs of the gateway.
    executablePath: installed('chromium', 'chromium-browser', 'google-chrome'),
    // Its sandbox needs what a container, and root, do not have. It only ever sees our own pages.
    args: ['--no-sandbox', '--disable-gpu'],
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
  });
  t.after(() => browser.close());
  const pages = createServer(serve);
  await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve));
  t.after(() => (pages.close(), pages.closeAllConnections()));
  const origin = `http://127.0.0.1:${pages.address().port}`;
  const redis = await Redis.start(t);
  return {
    browser,
    redis,
    origin,
    gateway: (t, ...options) => Gateway.start(t, redis, ['--origin', origin, ...options]),
    page: (t, face) => open(t, browser, origin + face),
  };
}

/** A page that knows a face, and complains to nobody. */
export async function open(t, browser, url) {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

/** Makes `window.socket` of the modern face, and notes all that it tells in `window.log`. */
export async function connect(page, url, options = {}) {
  await page.evaluate(([url, options]) => {
    window.log = [];
    if (options.renew) options.renew = eval(options.renew);
    window.socket = new WS4Redis(url, options);
    for (const type of ['connecting', 'open', 'message', 'close', 'reconnecting', 'paused', 'renew', 'error']) {
      socket.addEventListener(type, ({ data, code, reason }) => log.push({ type, data, code, reason }));
    }
  }, [url, options]);
}

/** Waits until the page has noted something since it was last forgotten. */
export async function heard(page, expected) {
  await page.waitForFunction(
    (expected) => log.some((noted) => Object.entries(expected).every(([name, value]) => noted[name] === value)),
    expected,
    { polling: 20, timeout: 60_000 },
  );
}

/** Forgets what was noted. */
export async function forget(page) {
  await page.evaluate(() => void (log.length = 0));
}

function serve({ url }, response) {
  const path = new URL(url, 'http://localhost').pathname;
  if (FILES.includes(path.slice(1))) {
    response.setHeader('Content-Type', 'text/javascript');
    response.end(readFileSync(new URL(`../../dist${path}`, import.meta.url)));
  } else if (path in HEADS) {
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><link rel="icon" href="data:,">${HEADS[path]}<p>${path}`);
  } else {
    response.writeHead(404).end();
  }
}
