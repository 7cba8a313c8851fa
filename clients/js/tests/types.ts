// Not run, only checked: the declarations fit what is written, and what people write fits the declarations.

import { WS4Redis } from 'ws4redis';
import 'ws4redis/classic';
import { WS4Redis as Written } from '../src/ws4redis.js';
import { WS4Redis as WrittenClassic } from '../src/classic.js';

export const modern: typeof WS4Redis = Written;
export const classic: typeof globalThis.WS4Redis = WrittenClassic as any;

export async function page() {
  const socket = new WS4Redis('/ws/chat?subscribe-broadcast', {
    heartbeat: '--heartbeat--',
    token: 'a.b.c',
    async renew({ code }) {
      const answer = await fetch('/token');
      return code === 4401 && answer.ok ? { token: await answer.text() } : false;
    },
  });
  socket.addEventListener('message', (event) => console.log(event.data));
  socket.addEventListener('close', ({ code, reason }) => console.log(code.toFixed(), reason.length));
  socket.addEventListener('reconnecting', ({ delay }) => console.log(delay.toFixed()));
  socket.addEventListener('renew', () => socket.reconnect({ url: new URL('https://example.com/ws/chat') }));
  // @ts-expect-error: there is no such event
  socket.addEventListener('opened', () => {});
  // @ts-expect-error: misspelt
  new WS4Redis('/ws/chat', { heartbeet: 'x' });
  const queued: boolean = socket.send(new Uint8Array(3));
  for await (const text of socket) if (text === 'bye' || !queued) break;
  if (socket.state === 'open') socket.close(1000, 'done');
}

export function page2013($: unknown) {
  const ws4redis = globalThis.WS4Redis({
    uri: 'ws://localhost/ws/foobar?subscribe-broadcast&publish-broadcast&echo',
    connected: () => ws4redis.send_message('hello'),
    disconnected: (event) => console.log(event.code.toFixed()),
    receive_message: (message) => console.log(message),
    heartbeat_msg: null,
  }, $);
  return ws4redis.is_connected() || ws4redis.get_state() === 3;
}
