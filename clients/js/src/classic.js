/** The face of django-websocket-redis: a global `WS4Redis(options)`, in the words that its pages were written in. */

import { Connection } from './connection.js';

/** @import { ClassicOptions } from '../types/ws4redis.classic.js' */

/** The numbers of `WebSocket.readyState`; while there is no connection the old one counts, and that is closed. */
const READY_STATE = { connecting: 0, open: 1, closing: 2, closed: 3, waiting: 3, paused: 3, renewing: 3 };
/** @type {Record<string, 'connecting' | 'connected' | 'disconnected' | undefined>} */
const CALLBACKS = { connecting: 'connecting', open: 'connected', close: 'disconnected' };

/**
 * Connects. With or without `new`; the jQuery that the original needs as its second argument is not used.
 * @this {any}
 * @param {ClassicOptions} options
 * @param {unknown} [$]
 * @param {typeof globalThis} [world] for tests
 * @returns {any}
 */
export function WS4Redis(options, $, world = globalThis) {
  if (!new.target) return new /** @type {any} */ (WS4Redis)(options, $, world);
  if (!options?.uri) throw new Error('WS4Redis: no Websocket URI in the options');
  const tell = (/** @type {string} */ type, /** @type {any} */ detail) => {
    try {
      const name = CALLBACKS[type];
      if (name) options[name]?.(detail && Object.assign(new Event(type), detail));
      else if (type === 'message') options.receive_message?.(detail.data);
    } catch (error) {
      // Reported as any error of the page is, but from where it stops nothing.
      world.setTimeout(() => {
        throw error;
      });
    }
  };
  const heartbeat = options.heartbeat_msg ?? undefined;
  const connection = new Connection(options.uri, { heartbeat, beats: true }, tell, world);
  this.send_message = (/** @type {string} */ message) => connection.send(message);
  this.get_state = () => READY_STATE[connection.state];
  this.close = () => connection.close();
  this.is_connecting = () => this.get_state() === 0;
  this.is_connected = () => this.get_state() === 1;
  this.is_closing = () => this.get_state() === 2;
  this.is_closed = () => this.get_state() === 3;
}
