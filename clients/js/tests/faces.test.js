// What the two faces add: events, iteration, the renew callback; and the words of the original.

import assert from 'node:assert/strict';
import test from 'node:test';

import { WS4Redis as Classic } from '../src/classic.js';
import { WS4Redis } from '../src/ws4redis.js';
import { World } from './support/world.js';

/** Lets what was promised happen. */
const settle = () => new Promise(setImmediate);

function modern(options) {
  const world = new World();
  return { world, socket: new WS4Redis('/ws/chat', options, world) };
}

test('events carry what happened, and listeners of all sorts hear them', () => {
  const { world, socket } = modern({ heartbeat: '--' });
  const heard = [];
  const note = (event) => heard.push([event.type, event.data ?? event.code ?? event.delay, socket.state]);
  for (const type of ['open', 'message', 'close', 'reconnecting', 'connecting']) socket.addEventListener(type, note);
  socket.addEventListener('open', note);
  socket.addEventListener('message', { handleEvent: note });
  world.socket.open();
  world.socket.hear('--');
  world.socket.hear('hello');
  world.socket.end(1012, 'drain');
  world.pass(1);
  assert.deepEqual(heard, [
    ['open', undefined, 'open'],
    ['message', 'hello', 'open'],
    ['message', 'hello', 'open'],
    ['close', 1012, 'waiting'],
    ['reconnecting', 1000, 'waiting'],
    ['connecting', undefined, 'connecting'],
  ]);
});

test('a listener that throws is reported and stops nothing', async (t) => {
  const reported = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => reported.push(error.message));
  t.after(() => {
    process.removeAllListeners('uncaughtException');
    listeners.forEach((listener) => process.on('uncaughtException', listener));
  });
  const { world, socket } = modern();
  for (const type of ['open', 'message', 'close', 'reconnecting']) {
    socket.addEventListener(type, () => {
      throw new Error(type);
    });
  }
  world.socket.open();
  world.socket.hear('x');
  world.socket.end();
  world.pass(1);
  assert.equal(world.sockets.length, 2);
  await settle();
  assert.deepEqual(reported, ['open', 'message', 'close', 'reconnecting']);
});

test('iteration gives each message once, over all connections, and ends when it is closed', async () => {
  const { world, socket } = modern();
  const heard = [];
  const loop = (async () => {
    for await (const text of socket) heard.push(text);
  })();
  world.socket.open();
  world.socket.hear('1');
  world.socket.hear('2');
  await settle();
  world.socket.hear('3');
  world.socket.end();
  await settle();
  world.pass(1);
  world.socket.open();
  world.socket.hear('4');
  socket.close();
  world.socket.end(1000);
  await loop;
  assert.deepEqual(heard, ['1', '2', '3', '4']);
});

test('leaving the loop closes nothing', async () => {
  const { world, socket } = modern();
  world.socket.open();
  setImmediate(() => world.socket.hear('1'));
  for await (const text of socket) if (text === '1') break;
  assert.equal(socket.state, 'open');
});

test('a loop that does not keep up is told so, instead of filling the memory', async () => {
  const { world, socket } = modern();
  world.socket.open();
  const messages = socket[Symbol.asyncIterator]();
  const first = messages.next();
  for (let n = 0; n < 20_000; n++) world.socket.hear(`${n}`);
  await assert.rejects(async () => {
    await first;
    for await (const _ of messages);
  }, /too slowly/);
  assert.equal(socket.state, 'open');
});

test('the renew callback, async or not, is heard, and gives the next URL and token', async () => {
  for (const renew of [() => ({ url: '/ws/new', token: 't' }), async () => ({ url: '/ws/new', token: 't' })]) {
    const { world, socket } = modern({ renew });
    world.socket.open();
    world.socket.end(4401, 'expired');
    world.pass(0);
    assert.equal(socket.state, 'renewing');
    await settle();
    assert.equal(world.socket.url, 'wss://example.com/ws/new');
    assert.deepEqual(world.socket.protocols, ['bearer', 't']);
  }
});

test('renew learns why, nothing means the same again, and false means the end', async () => {
  const endings = [];
  const { world, socket } = modern({ renew: (ending) => (endings.push(ending), endings.length > 1 ? false : undefined) });
  world.socket.open().end(4401, 'expired');
  world.pass(0);
  await settle();
  assert.equal(world.sockets.length, 2);
  world.socket.open();
  world.socket.end(1008, 'too_fast');
  world.pass(30);
  await settle();
  assert.equal(socket.state, 'closed');
  assert.deepEqual(endings, [{ code: 4401, reason: 'expired' }, { code: 1008, reason: 'too_fast' }]);
});

test('a renew that fails, or gives an impossible URL, is told and asked again later', async () => {
  const failures = [
    () => { throw new Error('thrown'); },
    async () => { throw new Error('rejected'); },
    () => ({ url: 'http://' }),
  ];
  for (const failure of failures) {
    let asked = 0;
    const { world, socket } = modern({ renew: () => (asked++ ? undefined : failure()) });
    const errors = [];
    socket.addEventListener('error', ({ error }) => errors.push(error));
    world.socket.open().end(4401, 'expired');
    world.pass(0);
    await settle();
    assert.deepEqual([errors.length, socket.state, world.sockets.length], [1, 'renewing', 1]);
    world.pass(2);
    await settle();
    assert.deepEqual([asked, world.sockets.length], [2, 2]);
  }
});

test('a renew that does not answer is not asked a second time meanwhile, and its late answer counts', async () => {
  let asked = 0;
  let answer;
  const { world, socket } = modern({ renew: () => (asked++, new Promise((resolve) => (answer = resolve))) });
  for (let seconds = 0; seconds < 600; seconds++) {
    if (socket.state === 'connecting') world.socket.end();
    world.pass(1);
    await settle();
  }
  assert.equal(asked, 1);
  const tried = world.sockets.length;
  assert.ok(tried > 10, `${tried} attempts`);
  answer({ token: 'new' });
  await settle();
  while (world.sockets.length === tried) world.pass(1);
  assert.deepEqual(world.socket.protocols, ['bearer', 'new']);
});

test('the callback is not asked about what was revoked, the page is told', async () => {
  let asked = 0;
  const { world, socket } = modern({ renew: () => void asked++ });
  const told = [];
  socket.addEventListener('renew', ({ code }) => told.push(code));
  world.socket.open().end(4403, 'revoked');
  await settle();
  assert.deepEqual([asked, told, socket.state], [0, [4403], 'renewing']);
});

test('a renewal that comes after close() is too late', async () => {
  const { world, socket } = modern({ renew: async () => ({}) });
  world.socket.open().end(4401, 'expired');
  world.pass(0);
  socket.close();
  await settle();
  assert.deepEqual([socket.state, world.sockets.length], ['closed', 1]);
});

/** The classic face, with everything that it calls noted. */
function classic(options = {}) {
  const world = new World();
  const called = [];
  const note = (name) => (argument) => called.push([name, argument?.code ?? argument]);
  const callbacks = ['connecting', 'connected', 'disconnected', 'receive_message'].map((name) => [name, note(name)]);
  const uri = 'ws://localhost/ws/foobar?subscribe-broadcast';
  const ws4redis = new Classic({ uri, ...Object.fromEntries(callbacks), ...options }, undefined, world);
  return { world, called, ws4redis };
}

test('classic: the callbacks are called as the original calls them, and it comes back', () => {
  const { world, called, ws4redis } = classic();
  assert.ok(ws4redis.is_connecting() && ws4redis.get_state() === 0);
  world.socket.open();
  assert.ok(ws4redis.is_connected() && ws4redis.get_state() === 1);
  world.socket.hear('hello');
  world.socket.end(1012, 'drain');
  assert.ok(ws4redis.is_closed() && ws4redis.get_state() === 3);
  world.pass(1);
  assert.ok(ws4redis.is_connecting());
  assert.deepEqual(called, [
    ['connecting', undefined],
    ['connected', undefined],
    ['receive_message', 'hello'],
    ['disconnected', 1012],
    ['connecting', undefined],
  ]);
});

test('classic: close() ends it', () => {
  const { world, called, ws4redis } = classic();
  world.socket.open();
  ws4redis.close();
  assert.ok(ws4redis.is_closing() && ws4redis.get_state() === 2);
  world.socket.end(1000);
  assert.ok(ws4redis.is_closed());
  world.pass(100);
  assert.equal(world.sockets.length, 1);
  assert.deepEqual(called.at(-1), ['disconnected', 1000]);
});

test('classic: what is sent while it is away arrives when it is back', () => {
  const { world, ws4redis } = classic();
  world.socket.open();
  ws4redis.send_message('1');
  world.socket.end();
  assert.equal(ws4redis.send_message('2'), true);
  world.pass(1);
  world.socket.open();
  assert.deepEqual(world.sockets.map(({ sent }) => sent), [['1'], ['2']]);
});

test('classic: the heartbeat is sent every 5 s, swallowed, and after more than 3 missed it reconnects', () => {
  const { world, called, ws4redis } = classic({ heartbeat_msg: '--heartbeat--' });
  world.socket.open();
  world.pass(5);
  world.socket.hear('--heartbeat--');
  assert.ok(!called.some(([name]) => name === 'receive_message'));
  world.pass(19);
  assert.ok(ws4redis.is_connected());
  assert.deepEqual(world.socket.sent, Array(4).fill('--heartbeat--'));
  world.pass(1);
  assert.ok(ws4redis.is_closed());
  world.pass(1);
  assert.equal(world.sockets.length, 2);
});

test('classic: a callback that throws is reported and stops nothing', () => {
  const { world, ws4redis } = classic({ connected: () => { throw new Error('of the page'); } });
  world.socket.open();
  assert.throws(() => world.pass(0), /of the page/);
  assert.ok(ws4redis.is_connected());
  world.socket.end();
  world.pass(1);
  assert.equal(world.sockets.length, 2);
});

test('classic: with and without new, with and without jQuery; without a URI it throws', () => {
  const world = new World();
  const jQuery = () => assert.fail('not needed');
  assert.ok(Classic({ uri: 'ws://x/ws/y' }, jQuery, world).is_connecting());
  assert.ok(new Classic({ uri: 'ws://x/ws/y' }, undefined, world).is_connecting());
  assert.throws(() => new Classic({}), /URI/);
  assert.throws(() => Classic(), /URI/);
});
