// Every transition of the state machine, in a world with a clock of its own.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Connection } from '../src/connection.js';
import { World } from './support/world.js';

/** A connection, its world, and what it told. */
function start(options = {}, world = new World()) {
  const told = [];
  let answer = () => {};
  const connection = new Connection('wss://example.com/ws/chat', options, (type, detail) => {
    told.push(type);
    answer(type, detail);
  }, world);
  return { world, connection, told, on: (listener) => (answer = listener) };
}

/** One that stands, and has done so long enough to count as a success. */
function standing(options) {
  const all = start(options);
  all.world.socket.open();
  all.world.pass(10);
  all.told.length = 0;
  return all;
}

/** How long it waits, in seconds, until it makes another socket; to the tenth. */
function wait(world, most = 100) {
  const before = world.sockets.length;
  for (let tenths = 0; tenths <= most * 10; tenths++) {
    if (world.sockets.length > before) return tenths / 10;
    world.pass(0.1);
  }
  return Infinity;
}

test('it connects at once, with the URL made absolute and in the words of WebSocket', () => {
  const world = new World();
  new Connection('/ws/chat?echo', {}, () => {}, world);
  assert.equal(world.socket.url, 'wss://example.com/ws/chat?echo');
  new Connection('http://localhost:8000/ws/chat', {}, () => {}, world);
  assert.equal(world.socket.url, 'ws://localhost:8000/ws/chat');
  assert.equal(world.socket.binaryType, 'arraybuffer');
  assert.deepEqual(world.socket.protocols, []);
});

test('a URL that cannot be one is thrown at whoever wrote it, and leaves nothing behind', () => {
  const world = new World();
  assert.throws(() => new Connection('http://', {}, () => {}, world), TypeError);
  world.broken = 'no such scheme';
  assert.throws(() => new Connection('gopher://x', {}, () => {}, world), /no such scheme/);
  assert.deepEqual([world.listeners, world.timers], [0, 0]);
});

test('it opens, hears, says', () => {
  const { world, connection, told, on } = start();
  let heard;
  on((type, detail) => (heard = detail?.data));
  assert.equal(connection.state, 'connecting');
  world.socket.open();
  assert.equal(connection.state, 'open');
  world.socket.hear('hello');
  assert.equal(heard, 'hello');
  assert.equal(connection.send('hi'), true);
  assert.deepEqual(world.socket.sent, ['hi']);
  assert.deepEqual(told, ['connecting', 'open', 'message']);
});

test('what is sent without a connection is queued, in order, up to the bound', () => {
  const { world, connection } = start({ queue: 2 });
  assert.deepEqual([1, 2, 3].map((text) => connection.send(`${text}`)), [true, true, false]);
  world.socket.open();
  assert.deepEqual(world.socket.sent, ['1', '2']);
  world.socket.readyState = 2;
  assert.equal(connection.send('4'), true, 'the other side is closing: queued, not dropped');
  assert.deepEqual(world.socket.sent, ['1', '2']);
  world.socket.end(1012, 'drain');
  assert.equal(connection.send('5'), true);
  wait(world);
  world.socket.open();
  assert.deepEqual(world.socket.sent, ['4', '5']);
});

test('the waits double from a second to thirty, and the dice choose between nothing and that', () => {
  const { world, connection } = start();
  const waits = [1, 2, 4, 8, 16, 30, 30];
  for (const most of waits) {
    world.socket.end();
    assert.equal(connection.state, 'waiting');
    assert.equal(wait(world), most);
  }
  world.dice = 0.5;
  world.socket.end();
  assert.equal(wait(world), 15);
});

test('a hundred clients that are cut off together do not come back together', () => {
  const world = new World();
  for (let n = 0; n < 100; n++) {
    world.dice = n / 100;
    new Connection('/ws/x', {}, () => {}, world);
    world.socket.open().end(1012, 'drain');
  }
  for (let tenth = 1; tenth <= 10; tenth++) {
    world.pass(0.1);
    const back = world.sockets.length - 100;
    assert.ok(Math.abs(back - tenth * 10) <= 1, `${back} after ${tenth} tenths`);
  }
});

test('only a connection that stood for a while makes the next wait short again', () => {
  const { world } = start();
  for (const most of [1, 2, 4, 8]) {
    world.socket.open();
    world.pass(9);
    world.socket.end();
    assert.equal(wait(world), most);
  }
  world.socket.open();
  world.pass(11);
  world.socket.end();
  assert.equal(wait(world), 1);
});

test('a gateway that is going down (1012) is asked again soon, a full one (1013) and one with an error later', () => {
  for (const [code, least, most] of [[1012, 0, 1], [1001, 0, 1], [1000, 0, 1], [1013, 15, 30], [1011, 15, 30]]) {
    for (const [dice, expected] of [[0, least], [1, most]]) {
      const { world } = standing();
      world.dice = dice;
      world.socket.end(code);
      const waited = wait(world);
      assert.ok(Math.abs(waited - expected) <= 0.11, `${code}: ${waited} is not ${expected}`);
    }
  }
});

test('a hint in the reason is kept to, and those who got the same one still come spread out', () => {
  const { world } = standing();
  world.dice = 0.5;
  world.socket.end(1013, 'slow retry=42');
  assert.equal(wait(world), 42.5);
  world.socket.end(1012, 'retry=99999999999');
  assert.equal(wait(world, 4000), 3601);
});

test('nothing shortens the wait that a server asked for', () => {
  const { world } = standing();
  for (const [code, reason, most] of [[1013, '', 30], [1012, 'retry=20', 22]]) {
    const before = world.sockets.length;
    world.socket.end(code, reason);
    world.say('online');
    world.show('visible');
    assert.equal(world.sockets.length, before);
    assert.equal(wait(world), most);
  }
});

test('expired (4401) asks the page at once, and goes on with what it answers', () => {
  const { world, connection, told } = standing({ renew: true, token: 'old', protocols: 'v1' });
  assert.deepEqual(world.socket.protocols, ['bearer', 'old', 'v1']);
  world.socket.end(4401, 'expired');
  assert.equal(connection.state, 'renewing');
  world.pass(0);
  assert.deepEqual(told, ['close', 'renew']);
  assert.equal(wait(world), Infinity, 'not before the page has answered');
  connection.renewed({ token: 'new' });
  assert.equal(world.sockets.length, 2);
  assert.deepEqual(world.socket.protocols, ['bearer', 'new', 'v1']);
  assert.equal(connection.state, 'connecting');
  connection.renewed({ token: 'late' });
  assert.equal(world.sockets.length, 2, 'a second answer is none');
});

test('a page whose new credentials are no better is not asked without end', () => {
  const { world, connection, on } = standing({ renew: true });
  let asked = 0;
  on((type) => {
    if (type !== 'renew') return;
    asked++;
    connection.renewed({ url: '/ws/other' });
    world.socket.open();
    world.socket.end(4401, 'expired');
  });
  world.socket.end(4401, 'expired');
  world.pass(120);
  assert.ok(asked > 3 && asked < 12, `${asked} times`);
  assert.equal(world.socket.url, 'wss://example.com/ws/other');
});

test('a page that could not answer is asked again, later', () => {
  const { world, connection, on } = standing({ renew: true });
  const asked = [];
  on((type, ending) => {
    if (type !== 'renew') return;
    asked.push(world.Date.now());
    connection.postpone(ending);
  });
  const start = world.Date.now();
  world.socket.end(4401, 'expired');
  world.pass(14.5);
  assert.deepEqual(asked.map((at) => (at - start) / 1000), [0, 2, 6, 14]);
});

test('a question that waits is asked at once when the network is back, and only once', () => {
  const { world, connection, told, on } = standing({ renew: true });
  on((type, ending) => type === 'renew' && connection.postpone(ending));
  world.socket.end(4401, 'expired');
  world.pass(3);
  assert.equal(told.filter((type) => type === 'renew').length, 2);
  on(() => {});
  world.goOnline(true);
  world.goOnline(true);
  assert.equal(told.filter((type) => type === 'renew').length, 3);
  assert.equal(world.timers, 0);
  assert.equal(world.sockets.length, 1);
});

test('reconnect() during a wait makes one connection, whatever wakes the page afterwards', () => {
  const { world, connection } = standing();
  world.socket.end();
  connection.reconnect();
  world.goOnline(true);
  world.show('visible');
  world.pass(5);
  assert.equal(world.sockets.length, 2);
});

test('without a callback, expired is told and tried as before, policy (1008) after the long wait', () => {
  for (const [code, most] of [[4401, 1], [1008, 30]]) {
    const { world, told } = standing();
    world.socket.end(code);
    assert.deepEqual(told, ['close', 'renew', 'reconnecting']);
    assert.equal(wait(world), most);
  }
});

test('who is revoked (4403) stays away until the page itself says otherwise', () => {
  const { world, connection, told } = standing({ renew: true });
  world.socket.end(4403, 'revoked');
  assert.deepEqual(told, ['close', 'renew']);
  world.goOnline(true);
  world.say('pageshow');
  world.sleep(1000);
  assert.equal(wait(world), Infinity);
  connection.reconnect();
  assert.equal(world.sockets.length, 2);
});

test('each third refusal in a row asks for credentials, because a browser tells no 403 from a dead server', () => {
  const { world, connection, told } = start({ renew: true });
  for (let n = 0; n < 2; n++) {
    world.socket.end();
    wait(world);
  }
  assert.ok(!told.includes('renew'));
  world.socket.end();
  assert.equal(connection.state, 'renewing');
  world.pass(3.9);
  assert.ok(!told.includes('renew'), 'not sooner than the next attempt would be');
  world.pass(0.1);
  assert.ok(told.includes('renew'));
  connection.renewed();
  assert.equal(world.sockets.length, 4);
  world.socket.open();
  for (let n = 0; n < 3; n++) {
    world.socket.end(1012, 'drain');
    assert.equal(connection.state, 'waiting', 'one that was let in starts the count anew, and is no refusal itself');
    wait(world);
  }
});

/** One that was refused three times in a row, and has just asked for credentials. */
function guessing() {
  const all = start({ renew: true, token: 'old' });
  for (let n = 0; n < 2; n++) {
    all.world.socket.end();
    wait(all.world);
  }
  all.world.socket.end();
  all.world.pass(4);
  assert.equal(all.told.at(-1), 'renew');
  return all;
}

test('refusals may have nothing to do with credentials, so an answer that does not come keeps nobody away', () => {
  const { world, connection } = guessing();
  assert.equal(wait(world), 15);
  world.socket.end();
  connection.renewed({ token: 'late' });
  wait(world);
  assert.deepEqual(world.socket.protocols, ['bearer', 'late'], 'it is not lost');
  world.socket.open();
  connection.renewed(false);
  assert.equal(connection.state, 'open', 'who was let in is not sent away by an old answer');
});

test('an unanswered guess is given up when the network is back, and false closes it', () => {
  const { world } = guessing();
  world.goOnline(true);
  assert.equal(world.sockets.length, 4);
  const { connection } = guessing();
  connection.renewed(false);
  assert.equal(connection.state, 'closed');
});

test('an attempt that nobody answers is given up', () => {
  const { world, connection, told } = start();
  const first = world.socket;
  world.pass(15);
  assert.equal(connection.state, 'waiting');
  assert.deepEqual(told, ['connecting', 'close', 'reconnecting']);
  assert.deepEqual(first.closed, [undefined, undefined]);
  first.open();
  first.hear('late');
  first.end();
  assert.deepEqual(told, ['connecting', 'close', 'reconnecting'], 'what a dropped socket says is nothing');
  assert.equal(wait(world), 1);
});

test('four heartbeats missed replace the connection, any message counts as one, and none is handed on', () => {
  const { world, connection, told } = start({ heartbeat: '--' });
  world.socket.open();
  for (const text of ['--', 'hello', '--']) {
    world.pass(15);
    world.socket.hear(text);
  }
  assert.equal(connection.state, 'open');
  assert.equal(told.filter((type) => type === 'message').length, 1);
  world.pass(20);
  assert.equal(connection.state, 'waiting');
  assert.equal(wait(world), 1, 'having stood, it is back soon');
  assert.deepEqual(world.sockets[0].sent, []);
});

test('without a heartbeat silence is nothing', () => {
  const { world, connection } = start();
  world.socket.open();
  world.pass(3600);
  assert.equal(connection.state, 'open');
});

test('the classic face speaks the heartbeat too, every 5 s', () => {
  const { world } = start({ heartbeat: '--', beats: true });
  world.socket.open();
  world.pass(16);
  assert.deepEqual(world.socket.sent, ['--', '--', '--']);
});

test('offline it pauses, and online it goes on at once', () => {
  const { world, connection, told } = standing();
  world.goOnline(false);
  assert.equal(connection.state, 'open', 'a socket that still works is left alone');
  world.socket.end();
  world.pass(1);
  assert.equal(connection.state, 'paused');
  world.goOnline(false);
  assert.equal(wait(world), Infinity);
  assert.deepEqual(told, ['close', 'reconnecting', 'paused']);
  world.goOnline(true);
  assert.equal(connection.state, 'connecting');
  world.socket.end();
  world.goOnline(false);
  assert.equal(connection.state, 'paused', 'a wait turns into a pause');
});

test('the very first attempt is made even where the browser believes that it is offline', () => {
  const world = new World();
  world.navigator.onLine = false;
  const { connection } = start({}, world);
  assert.equal(world.sockets.length, 1);
  world.socket.end();
  world.pass(1);
  assert.equal(connection.state, 'paused');
});

test('after a change of network the open connection has two heartbeats to prove itself', () => {
  const { world, connection } = standing({ heartbeat: '--' });
  world.socket.hear('--');
  world.goOnline(true);
  world.pass(5);
  assert.equal(connection.state, 'open');
  world.pass(5);
  assert.equal(connection.state, 'waiting');
});

test('a page that comes into view tries at once, one that goes out of it does not', () => {
  const { world } = standing();
  world.socket.end();
  world.show('hidden');
  assert.equal(world.sockets.length, 1);
  world.show('visible');
  assert.equal(world.sockets.length, 2);
});

test('a machine that slept has a dead socket, and gets a new one at once', () => {
  const { world, connection, told } = standing();
  world.sleep(100);
  world.pass(5);
  assert.equal(world.sockets.length, 2);
  assert.equal(connection.state, 'connecting');
  assert.deepEqual(told, ['close', 'reconnecting', 'connecting']);
});

test('a machine that slept through a wait tries at once', () => {
  const { world } = start();
  for (let n = 0; n < 6; n++) {
    world.socket.end();
    wait(world);
  }
  world.socket.end();
  world.sleep(3600);
  assert.ok(wait(world) <= 5);
});

test('timers that a browser holds back by a minute are no sleep', () => {
  const { world } = standing();
  world.sleep(60);
  world.pass(5);
  assert.equal(world.sockets.length, 1);
});

test('a page that is put aside closes, and opens when it is shown again', () => {
  for (const open of [true, false]) {
    const { world, connection } = start();
    if (open) world.socket.open();
    world.say('pagehide');
    assert.equal(connection.state, 'paused');
    assert.equal(world.socket.readyState, 2);
    assert.equal(wait(world), Infinity);
    assert.equal(connection.send('meanwhile'), true);
    world.say('pageshow');
    world.socket.open();
    assert.equal(world.sockets.length, 2);
    assert.deepEqual(world.socket.sent, ['meanwhile']);
  }
});

test('close() is the end, in every state, and leaves no timer and no listener', () => {
  const ways = {
    connecting: () => start(),
    open: () => standing(),
    waiting: () => [standing()].map((all) => (all.world.socket.end(), all))[0],
    paused: () => [standing()].map((all) => (all.world.say('pagehide'), all))[0],
    renewing: () => [standing()].map((all) => (all.world.socket.end(4403), all))[0],
  };
  for (const [state, way] of Object.entries(ways)) {
    const { world, connection, told } = way();
    assert.equal(connection.state, state);
    told.length = 0;
    connection.close(4000, 'done');
    connection.close();
    if (connection.state === 'closing') {
      assert.deepEqual(world.socket.closed, [4000, 'done']);
      assert.equal(connection.send('x'), false);
      world.say('pagehide');
      world.socket.end(4000, 'done');
    }
    assert.equal(connection.state, 'closed');
    assert.equal(connection.send('x'), false);
    connection.reconnect();
    assert.equal(wait(world), Infinity);
    assert.deepEqual(told, ['close'], state);
    assert.deepEqual([world.listeners, world.timers], [0, 0], state);
  }
});

test('a gateway that does not answer a Close is not waited for without end', () => {
  const { world, connection } = standing();
  connection.close();
  world.pass(15);
  assert.equal(connection.state, 'closed');
});

test('a close code that a page may not send is thrown, and nothing has happened', () => {
  const { world, connection } = standing();
  assert.throws(() => connection.close(1001), RangeError);
  assert.equal(connection.state, 'open');
  assert.equal(world.socket.readyState, 1);
});

test('who closes while hearing of the end is obeyed', () => {
  for (const code of [1006, 4401, 4403, 1013]) {
    for (const renew of [undefined, true]) {
      const { world, connection, told, on } = standing({ renew });
      on((type) => type === 'close' && connection.close());
      world.socket.end(code);
      assert.equal(connection.state, 'closed');
      assert.equal(wait(world), Infinity);
      assert.deepEqual(told, ['close', 'close']);
    }
  }
});

test('reconnect() replaces what there is, at once and with what changed', () => {
  const { world, connection, told } = standing();
  const before = world.socket;
  connection.reconnect({ url: '/ws/other' });
  assert.equal(before.readyState, 2);
  assert.equal(world.socket.url, 'wss://example.com/ws/other');
  assert.deepEqual(told, ['close', 'connecting']);
  world.socket.end();
  connection.reconnect();
  assert.equal(world.sockets.length, 3);
  assert.equal(world.timers, 1, 'the wait is over');
});

test('who closes while hearing that reconnect() parts is obeyed', () => {
  const { world, connection, on } = standing();
  on((type) => type === 'close' && connection.close());
  connection.reconnect();
  assert.deepEqual([connection.state, world.sockets.length], ['closed', 1]);
});

test('reconnect() with an impossible URL is thrown, and the connection stands', () => {
  const { world, connection } = standing();
  assert.throws(() => connection.reconnect({ url: 'http://' }), TypeError);
  assert.equal(connection.state, 'open');
  assert.equal(world.sockets.length, 1);
});

test('an attempt at which the browser throws is one that failed', () => {
  const { world, connection } = standing();
  world.broken = 'mixed content';
  world.socket.end();
  world.pass(1);
  assert.equal(connection.state, 'waiting');
  world.broken = undefined;
  assert.equal(wait(world), 2);
});
