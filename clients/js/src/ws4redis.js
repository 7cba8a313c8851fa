/** The modern face: an EventTarget that one can also iterate over. */

import { Connection } from './connection.js';

/** @import { State, Renewal, WS4RedisOptions } from '../types/ws4redis.js' */
/** @import { Ending } from './connection.js' */

/** `revoked`: no matter of fresh credentials, so only the page itself can lead back. */
const REVOKED = 4403;
/** A loop that lets more messages than this wait is told so, as the gateway tells a client that reads too slowly. */
const BACKLOG_MAX = 10_000;

/** A WebSocket that comes back. `types/ws4redis.d.ts` says what everything does. */
export class WS4Redis extends EventTarget {
  #connection;
  #renew;
  #asking = false;

  /**
   * @param {string | URL} url
   * @param {WS4RedisOptions} [options]
   * @param {typeof globalThis} [world] for tests
   */
  constructor(url, options = {}, world = globalThis) {
    super();
    this.#renew = options.renew;
    this.#connection = new Connection(url, options, (type, detail) => this.#tell(type, detail), world);
  }

  /** @returns {State} */
  get state() {
    return this.#connection.state;
  }

  /** @param {Parameters<WebSocket['send']>[0]} data */
  send(data) {
    return this.#connection.send(data);
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  close(code, reason) {
    this.#connection.close(code, reason);
  }

  /** @param {Renewal} [change] */
  reconnect(change) {
    this.#connection.reconnect(change);
  }

  /** @returns {AsyncGenerator<any, void, void>} */
  async *[Symbol.asyncIterator]() {
    /** @type {any[]} */
    const heard = [];
    let wake = () => {};
    const hear = (/** @type {any} */ event) => {
      if (event.type === 'message') heard.push(event.data);
      wake();
    };
    this.addEventListener('message', hear);
    this.addEventListener('close', hear);
    try {
      for (;;) {
        if (heard.length > BACKLOG_MAX) throw new Error('ws4redis: messages are read too slowly');
        if (heard.length) yield heard.shift();
        else if (this.state === 'closed') return;
        else await new Promise((resolve) => (wake = () => resolve(undefined)));
      }
    } finally {
      this.removeEventListener('message', hear);
      this.removeEventListener('close', hear);
    }
  }

  /**
   * What a listener throws is reported by the browser and stops nothing.
   * @param {string} type
   * @param {object} [detail]
   */
  #tell(type, detail) {
    this.dispatchEvent(Object.assign(new Event(type), detail));
    if (type === 'renew') this.#ask(/** @type {Ending} */ (detail));
  }

  /** @param {Ending} ending */
  #ask(ending) {
    const renew = this.#renew;
    // One question at a time: a page that shows a form would show two.
    if (!renew || this.#asking || ending.code === REVOKED) return;
    this.#asking = true;
    new Promise((resolve) => resolve(renew(ending)))
      .then((change) => this.#connection.renewed(change))
      .catch((error) => {
        this.#connection.postpone(ending);
        this.#tell('error', { error });
      })
      .finally(() => (this.#asking = false));
  }
}
