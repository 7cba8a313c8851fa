// What is published: its size, its files, and that it works where it is installed.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { gzipSync } from 'node:zlib';

import { Gateway, Redis, until } from './support/processes.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (name) => readFileSync(`${ROOT}${name}`);

test('each face is under 2.5 KB gzipped, and needs no other file', () => {
  for (const name of ['dist/ws4redis.js', 'dist/ws4redis.classic.js']) {
    const size = gzipSync(read(name), { level: 9 }).length;
    assert.ok(size < 2500, `${name}: ${size} bytes`);
    assert.doesNotMatch(read(name).toString(), /\bimport\b|\brequire\b/);
  }
  const { dependencies, peerDependencies } = JSON.parse(read('package.json'));
  assert.deepEqual([dependencies, peerDependencies], [undefined, undefined]);
});

test('npm pack takes what is needed, and nothing else', () => {
  const options = ['pack', '--dry-run', '--json', '--ignore-scripts', '--silent'];
  const [{ files }] = JSON.parse(execFileSync('npm', options, { cwd: ROOT }));
  assert.deepEqual(files.map(({ path }) => path).sort(), [
    'LICENSE',
    'README.md',
    'dist/ws4redis.classic.js',
    'dist/ws4redis.js',
    'package.json',
    'types/ws4redis.classic.d.ts',
    'types/ws4redis.d.ts',
  ]);
});

test('the lock names no registry, and the licence is that of the gateway', () => {
  assert.doesNotMatch(read('package-lock.json').toString(), /"resolved"|https?:/);
  assert.deepEqual(read('LICENSE'), read('../../LICENSE'));
});

test('the README has every option and event of the declarations', () => {
  const declared = (name) => {
    const body = read('types/ws4redis.d.ts').toString().split(`export interface ${name} {\n`)[1].split('\n}')[0];
    return [...body.matchAll(/^  (\w+)\??:/gm)].map(([, key]) => key);
  };
  const listed = (heading) => {
    const section = read('README.md').toString().split(`\n## ${heading}\n`)[1].split('\n## ')[0];
    return [...section.matchAll(/^\| `(\w+)`/gm)].map(([, key]) => key);
  };
  assert.deepEqual(listed('Options'), declared('WS4RedisOptions'));
  assert.deepEqual(listed('Events'), declared('WS4RedisEvents'));
});

test('the classic face, as a script, leaves one name behind', () => {
  const page = createContext({ Event, setTimeout, clearTimeout, URL });
  const before = Object.keys(page);
  runInContext(read('dist/ws4redis.classic.js').toString(), page);
  assert.deepEqual(Object.keys(page).filter((name) => !before.includes(name)), ['WS4Redis']);
});

const FLAG = '--experimental-websocket';
const flagged = !globalThis.WebSocket;
const absent = flagged && !process.allowedNodeEnvironmentFlags.has(FLAG);

for (const [name, skip, options, setup] of [
  ['the WebSocket of `ws`', false, [], 'const { WebSocket } = await import("ws");'],
  ['the WebSocket of Node', absent && 'this Node has none', flagged ? [FLAG] : [], ''],
]) {
  test(`it works in Node with ${name}`, { skip, timeout: 60_000 }, async (t) => {
    const redis = await Redis.start(t);
    const gateway = await Gateway.start(t, redis, []);
    const program = `
      import { WS4Redis } from 'ws4redis';
      ${setup}
      const socket = new WS4Redis('${gateway.url}node?subscribe-broadcast', { WebSocket });
      socket.addEventListener('open', () => console.log('open'));
      for await (const text of socket) { console.log(text); if (text === 'bye') socket.close(); }
      console.log(socket.state);`;
    const node = spawn(process.execPath, [...options, '--no-warnings', '--input-type=module', '--eval', program], { cwd: ROOT });
    t.after(() => node.kill());
    let said = '';
    node.stdout.on('data', (text) => (said += text));
    node.stderr.on('data', (text) => (said += text));
    const says = (text) => until(`${text} in ${said}`, () => said === text);
    await says('open\n');
    await gateway.signal('SIGKILL');
    await gateway.again();
    await says('open\nopen\n');
    await redis.publish('broadcast:node', 'bye');
    await says('open\nopen\nbye\nclosed\n');
  });
}
