/** A real redis-server and the real gateway. They end with the test that started them. */

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const BUILT = fileURLToPath(new URL('../../../../target/debug/ws4redis', import.meta.url));
/** The heartbeat of every gateway here. */
export const HEARTBEAT = '--heartbeat--';

/** A Redis of its own, on a unix socket. */
export class Redis {
  static async start(t) {
    const redis = new Redis();
    redis.directory = mkdtempSync(join(tmpdir(), 'ws4redis-js-'));
    redis.socket = join(redis.directory, 'redis.sock');
    const options = ['--port', '0', '--unixsocket', redis.socket, '--save', '', '--dir', redis.directory];
    run(t, 'redis-server', options, {}, () => rmSync(redis.directory, { recursive: true, force: true }));
    await until('redis-server listens', () => reachable(redis.socket));
    return redis;
  }

  /** Publishes, and says how many heard it. */
  async publish(channel, text) {
    const { stdout } = await promisify(execFile)('redis-cli', ['-s', this.socket, 'PUBLISH', channel, text]);
    return Number(stdout);
  }

  /** A file beside it. */
  file(name, text) {
    const path = join(this.directory, name);
    writeFileSync(path, text);
    return path;
  }
}

/** The gateway, which can be stopped and started again on the same port. */
export class Gateway {
  static async start(t, redis, options) {
    const gateway = new Gateway();
    gateway.port = await freePort();
    gateway.url = `ws://127.0.0.1:${gateway.port}/ws/`;
    const listen = ['--listen', `127.0.0.1:${gateway.port}`, '--admin', 'off', '--heartbeat', HEARTBEAT];
    const all = ['serve', '--redis', `unix://${redis.socket}`, ...listen, '--log', 'warn', ...options];
    gateway.again = async () => {
      gateway.process = run(t, process.env.WS4REDIS_BINARY ?? BUILT, all);
      await until('the gateway listens', () => {
        assert.equal(gateway.process.exitCode, null, 'it ended at once, for the reason above');
        return reachable(gateway.port);
      });
    };
    await gateway.again();
    return gateway;
  }

  /** Sends it a signal; waits for its end if that is what the signal is for. */
  async signal(name) {
    const { process } = this;
    const ended = new Promise((resolve) => process.once('exit', resolve));
    assert.ok(process.kill(name));
    if (name === 'SIGTERM' || name === 'SIGKILL') await ended;
  }
}

/** Serves the example page beside a gateway, and says where. */
export async function example(t, gateway) {
  const script = fileURLToPath(new URL('../../example.js', import.meta.url));
  const child = run(t, process.execPath, [script], { GATEWAY: `127.0.0.1:${gateway.port}`, PORT: '0' });
  const [line] = await once(child.stdout, 'data');
  return line.toString().trim();
}

/** The first of these programs that is installed. */
export function installed(...names) {
  for (const name of names) {
    for (const directory of process.env.PATH.split(delimiter)) {
      try {
        const path = join(directory, name);
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // The next one, then.
      }
    }
  }
  throw new Error(`none of these is installed: ${names.join(', ')}`);
}

/** Waits until something is so. */
export async function until(what, condition, seconds = 30) {
  for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline; ) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`never: ${what}`);
}

function run(t, program, options, variables = {}, afterwards = () => {}) {
  // The gateway takes its settings from the environment, and refuses names that it does not know.
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('WS4REDIS_'));
  const env = { ...Object.fromEntries(inherited), ...variables };
  const child = spawn(program, options, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.resume();
  let said = '';
  child.stderr.on('data', (text) => (said += text));
  child.on('error', (error) => assert.fail(`${program}: ${error.message}`));
  child.on('exit', (code) => code && console.error(`${program} ended with ${code}:\n${said}`));
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
    afterwards();
  });
  return child;
}

function reachable(place) {
  return new Promise((resolve) => {
    const socket = typeof place === 'number' ? connect(place, '127.0.0.1') : connect(place);
    socket.once('connect', () => (socket.destroy(), resolve(true)));
    socket.once('error', () => resolve(false));
  });
}

/** A port that nobody has now. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
