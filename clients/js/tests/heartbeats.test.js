// A gateway that stands still without closing anything: only the missing heartbeats tell. This takes its 20 seconds.

import assert from 'node:assert/strict';
import test from 'node:test';

import { connect, forget, heard, start } from './support/browser.js';
import { HEARTBEAT } from './support/processes.js';

test('a gateway that is frozen is noticed by both faces, and they are back when it goes on', { timeout: 110_000 }, async (t) => {
  const world = await start(t);
  const gateway = await world.gateway(t);
  const modern = await world.page(t, '/modern');
  await connect(modern, `${gateway.url}frozen?subscribe-broadcast`, { heartbeat: HEARTBEAT });
  const classic = await world.page(t, '/classic');
  await classic.evaluate(([uri, heartbeat_msg]) => {
    window.log = [];
    const note = (type) => (event) => log.push({ type, reason: event?.reason });
    window.ws4redis = new WS4Redis({ uri, heartbeat_msg, connected: note('connected'), disconnected: note('disconnected') });
  }, [`${gateway.url}frozen?subscribe-broadcast`, HEARTBEAT]);
  await heard(modern, { type: 'open' });
  await heard(classic, { type: 'connected' });

  await gateway.signal('SIGSTOP');
  await Promise.all([
    heard(modern, { type: 'close', reason: 'heartbeats missed' }),
    heard(classic, { type: 'disconnected', reason: 'heartbeats missed' }),
  ]);
  await Promise.all([forget(modern), forget(classic)]);
  await gateway.signal('SIGCONT');
  await Promise.all([heard(modern, { type: 'open' }), heard(classic, { type: 'connected' })]);
  assert.equal(await world.redis.publish('broadcast:frozen', 'thaw'), 1);
  await heard(modern, { type: 'message', data: 'thaw' });
});
