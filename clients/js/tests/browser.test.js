// Both faces, as built, in a real Chromium, against the real gateway on a real Redis.

import { createHmac } from 'node:crypto';
import assert from 'node:assert/strict';
import test from 'node:test';

import { connect, forget, heard, open, start } from './support/browser.js';
import { Gateway, HEARTBEAT, example, until } from './support/processes.js';

test('in the browser', { timeout: 110_000 }, async (t) => {
  const world = await start(t);
  const { redis } = world;

  await t.test('messages go both ways, the heartbeat is swallowed', async (t) => {
    const gateway = await world.gateway(t);
    const page = await world.page(t, '/modern');
    await connect(page, `${gateway.url}news?subscribe-broadcast&publish-broadcast&echo`, { heartbeat: HEARTBEAT });
    await heard(page, { type: 'open' });
    await redis.publish('broadcast:news', 'Grüße');
    await heard(page, { type: 'message', data: 'Grüße' });
    await page.evaluate(() => socket.send('from the page'));
    await heard(page, { type: 'message', data: 'from the page' });
    assert.equal(await page.evaluate(() => log.filter(({ type }) => type === 'message').length), 2);
  });

  await t.test('a page iterates over messages', async (t) => {
    const gateway = await world.gateway(t);
    const page = await world.page(t, '/modern');
    await page.evaluate(async (url) => {
      const socket = new WS4Redis(url);
      window.texts = [];
      (async () => {
        for await (const text of socket) texts.push(text);
        texts.push('the end');
      })();
      await new Promise((resolve) => socket.addEventListener('open', resolve));
      window.end = () => socket.close();
    }, `${gateway.url}iterate?subscribe-broadcast`);
    await redis.publish('broadcast:iterate', '1');
    await redis.publish('broadcast:iterate', '2');
    await page.waitForFunction(() => texts.length === 2);
    await page.evaluate(() => end());
    await page.waitForFunction(() => texts.length === 3);
    assert.deepEqual(await page.evaluate(() => texts), ['1', '2', 'the end']);
  });

  for (const [signal, code] of [['SIGTERM', 1012], ['SIGKILL', 1006]]) {
    await t.test(`modern: after ${signal} of the gateway it comes back, with what was sent meanwhile`, async (t) => {
      const gateway = await world.gateway(t);
      const page = await world.page(t, '/modern');
      await connect(page, `${gateway.url}${signal}?subscribe-broadcast&publish-broadcast&echo`);
      await heard(page, { type: 'open' });
      await gateway.signal(signal);
      await heard(page, { type: 'close', code });
      await forget(page);
      assert.equal(await page.evaluate(() => socket.send('meanwhile')), true);
      await gateway.again();
      await heard(page, { type: 'open' });
      await heard(page, { type: 'message', data: 'meanwhile' });
      assert.equal(await redis.publish(`broadcast:${signal}`, 'after'), 1);
      await heard(page, { type: 'message', data: 'after' });
    });

    await t.test(`classic: after ${signal} of the gateway it comes back`, async (t) => {
      const gateway = await world.gateway(t);
      const page = await world.page(t, '/classic');
      await classic(page, `${gateway.url}classic?subscribe-broadcast&publish-broadcast&echo`);
      await heard(page, { type: 'connected' });
      assert.equal(await page.evaluate(() => ws4redis.is_connected()), true);
      await page.evaluate(() => ws4redis.send_message('hello'));
      await heard(page, { type: 'receive_message', data: 'hello' });
      await gateway.signal(signal);
      await heard(page, { type: 'disconnected', data: code });
      assert.equal(await page.evaluate(() => ws4redis.is_connected()), false);
      await forget(page);
      await gateway.again();
      await heard(page, { type: 'connected' });
      await redis.publish('broadcast:classic', 'after');
      await heard(page, { type: 'receive_message', data: 'after' });
      await page.evaluate(() => ws4redis.close());
      await page.waitForFunction(() => ws4redis.is_closed());
      assert.equal(await redis.publish('broadcast:classic', 'nobody'), 0);
    });
  }

  await t.test('a token that expires (4401) is renewed by the page', async (t) => {
    const key = redis.file('jwt.key', 'a secret of thirty-two bytes or more');
    const tokens = ['--jwt-key-file', key, '--jwt-algorithms', 'HS256', '--jwt-leeway', '0s'];
    const gateway = await world.gateway(t, '--identity', 'jwt', ...tokens);
    const page = await world.page(t, '/modern');
    await page.exposeFunction('fetchToken', () => jwt({ sub: 'mary', exp: now() + 3600 }));
    await connect(page, `${gateway.url}token?subscribe-user`, {
      token: jwt({ sub: 'mary', exp: now() + 4 }),
      renew: `(async ({ code, reason }) => (log.push({ type: 'asked', code, reason }), { token: await fetchToken() }))`,
    });
    await heard(page, { type: 'open' });
    await heard(page, { type: 'close', code: 4401, reason: 'expired' });
    await heard(page, { type: 'asked', code: 4401, reason: 'expired' });
    await forget(page);
    await page.waitForFunction(() => socket.state === 'open');
    await redis.publish('user:mary:token', 'still you');
    await heard(page, { type: 'message', data: 'still you' });
  });

  await t.test('a page that comes with an expired token, which is a refused handshake, gets to renew it', async (t) => {
    const key = redis.file('jwt.key', 'a secret of thirty-two bytes or more');
    const gateway = await world.gateway(t, '--identity', 'jwt', '--jwt-key-file', key, '--jwt-algorithms', 'HS256');
    const page = await world.page(t, '/modern');
    await page.exposeFunction('fetchToken', () => jwt({ sub: 'mary', exp: now() + 3600 }));
    await connect(page, `${gateway.url}token?subscribe-user`, {
      token: jwt({ sub: 'mary', exp: now() - 3600 }),
      renew: `(async ({ code }) => (log.push({ type: 'asked', code }), { token: await fetchToken() }))`,
    });
    await heard(page, { type: 'asked', code: 1006 });
    await heard(page, { type: 'open' });
  });

  await t.test('offline it does not try, and online it is back at once', async (t) => {
    const gateway = await world.gateway(t);
    const page = await world.page(t, '/modern');
    await connect(page, `${gateway.url}offline?subscribe-broadcast`);
    await heard(page, { type: 'open' });
    await page.context().setOffline(true);
    await page.waitForFunction(() => !navigator.onLine);
    await gateway.signal('SIGKILL');
    await gateway.again();
    await heard(page, { type: 'close' });
    await page.waitForFunction(() => socket.state === 'paused');
    await forget(page);
    await page.context().setOffline(false);
    await heard(page, { type: 'open' });
    assert.equal(await page.evaluate(() => log[0].type), 'connecting', 'without a wait');
  });

  await t.test('a page in the back/forward cache is closed, and open again when one comes back to it', async (t) => {
    const gateway = await world.gateway(t);
    const page = await world.page(t, '/modern');
    await connect(page, `${gateway.url}cache?subscribe-broadcast`);
    await heard(page, { type: 'open' });
    await page.evaluate(() => addEventListener('pageshow', ({ persisted }) => log.push({ type: 'shown', data: persisted })));
    await page.goto(`${world.origin}/elsewhere`);
    await until('it is closed', async () => (await redis.publish('broadcast:cache', 'nobody')) === 0);
    // Chromium tells Playwright of no load when it takes a page out of the cache.
    page.evaluate(() => history.back()).catch(() => {});
    await page.waitForURL('**/modern', { waitUntil: 'commit' });
    await heard(page, { type: 'shown', data: true });
    await heard(page, { type: 'close', code: 1001 });
    await page.waitForFunction(() => socket.state === 'open');
    await forget(page);
    assert.equal(await redis.publish('broadcast:cache', 'back'), 1);
    await heard(page, { type: 'message', data: 'back' });
  });

  await t.test('the example page works beside a gateway that lets only its own host in', async (t) => {
    const gateway = await Gateway.start(t, redis, []);
    const address = await example(t, gateway);
    const pages = [await open(t, world.browser, address), await open(t, world.browser, address)];
    const complaints = [];
    for (const page of pages) {
      page.on('pageerror', ({ message }) => complaints.push(message));
      await page.waitForSelector('[data-state=open]');
    }
    const say = async (text) => {
      await pages[0].fill('input', text);
      await pages[0].press('input', 'Enter');
    };
    await say('hello');
    for (const page of pages) await page.waitForSelector('li:has-text("hello")');
    await gateway.signal('SIGTERM');
    await pages[0].waitForSelector('[data-state=waiting]');
    await say('are you there?');
    await gateway.again();
    await pages[0].waitForSelector('li:has-text("are you there?")');
    assert.deepEqual(complaints, []);
  });

  await t.test('close() during the handshake is the end', async (t) => {
    const gateway = await world.gateway(t);
    const page = await world.page(t, '/modern');
    await connect(page, `${gateway.url}close?subscribe-broadcast`);
    await page.evaluate(() => socket.reconnect());
    await page.evaluate(() => socket.close());
    await page.waitForFunction(() => socket.state === 'closed');
    assert.equal(await page.evaluate(() => log.at(-1).type), 'close');
    await until('nobody is there', async () => (await redis.publish('broadcast:close', 'x')) === 0);
  });
});

/** Makes `window.ws4redis` of the classic face, and notes its callbacks in `window.log`. */
async function classic(page, uri) {
  await page.evaluate((uri) => {
    window.log = [];
    const note = (type) => (data) => log.push({ type, data: data?.code ?? data });
    window.ws4redis = WS4Redis({
      uri,
      connecting: note('connecting'),
      connected: note('connected'),
      disconnected: note('disconnected'),
      receive_message: note('receive_message'),
      heartbeat_msg: '--heartbeat--',
    });
  }, uri);
}

const now = () => Math.floor(Date.now() / 1000);

function jwt(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  const key = 'a secret of thirty-two bytes or more';
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}
