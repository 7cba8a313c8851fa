/**
 * One WebSocket after another to the same place: when to come back, when to wait, when to ask the page first.
 *
 * The faces stand on this. It knows no promise and no DOM but a few events of the page; whatever it has of the world
 * comes in as an argument, so that tests play it with a clock of their own.
 *
 *     connecting ──▶ open ──▶ waiting ──▶ connecting      the usual circle
 *                             paused   ──▶ connecting      offline, or the page is put aside
 *                             renewing ──▶ connecting      the page is asked for new credentials first
 *     any ──close()──▶ closing ──▶ closed                  the only end
 */

/** @import { State, Renewal, WS4RedisOptions } from '../types/ws4redis.js' */
/** @typedef {{ code: number, reason: string }} Ending */
/** @typedef {(type: string, detail?: object) => void} Tell */
/** @typedef {typeof globalThis} World */

/** @typedef {Omit<WS4RedisOptions, 'renew'> & { renew?: unknown, beats?: boolean }} Options */

// Full jitter between nothing and a bound that doubles from the first to the second: after an outage, clients that
// were cut off together come back spread out.
const WAIT_MIN = 1_000;
const WAIT_MAX = 30_000;
/** A hint is the server's, but a slip of one must not keep a page away for a week. */
const HINT_MAX = 3_600;
/** How often an open connection is looked at; twice that long is what it takes to count as a success. */
const TICK = 5_000;
/** The gateway speaks every 4 s. A delayed one is no death; more missed than this is. */
const MISSED_MAX = 3;
/** The gateway's own limit for a handshake is 10 s. A browser left alone waits for minutes. */
const PATIENCE = 15_000;
// Who answers no ping is hung up on after 40 s, so a machine that slept for longer has a dead socket and may never
// hear of it. Browsers delay the timers of hidden pages by up to a minute: that alone is not sleep.
const SLEPT = 90_000;

/** `expired`: new credentials are needed. `too_fast` (1008, policy) is in the same place: not as before. */
const RENEWABLE = [1008, 4401];
/** `revoked`: somebody decided that this client must go. Coming back by itself would be arguing. */
const REVOKED = 4403;
/** What a quick return would only make worse: policy, an error inside, overload. */
const BUSY = [1008, 1011, 1013];
/** A refused handshake looks like a dead server. Each time this many in a row were, credentials may be the reason. */
const REFUSALS_PER_RENEWAL = 3;

const PAGE_EVENTS = ['online', 'offline', 'pagehide', 'pageshow', 'visibilitychange'];

/** A connection that comes back until it is told to close. */
export class Connection {
  /** @type {State} */
  state = 'connecting';
  #url = '';
  /** @type {string | undefined} */
  #token;
  #options;
  #tell;
  #world;
  /** @type {WebSocket | undefined} */
  #socket;
  /** One timer, whose meaning is the state's. @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** What a wait is for, until it is over. @type {(() => void) | undefined} */
  #next;
  /** @type {Parameters<WebSocket['send']>[0][]} */
  #queue = [];
  #failures = 0;
  #refusals = 0;
  #ticks = 0;
  #missed = 0;
  /** The wait was asked for by the server, so nothing shortens it. */
  #firm = false;

  /**
   * Connects. An address that cannot be one, or no WebSocket at all, is the caller's mistake and thrown.
   * @param {string | URL} url
   * @param {Options} options
   * @param {Tell} tell hears of everything; must not throw
   * @param {World} world
   */
  constructor(url, options, tell, world) {
    this.#options = options;
    this.#tell = tell;
    this.#world = world;
    this.#change({ url, token: options.token });
    // Not asked whether we are online: browsers call a machine offline whose gateway is its own.
    this.#open();
    for (const type of PAGE_EVENTS) world.addEventListener?.(type, this);
  }

  /**
   * Sends, or queues while there is no connection; false if it is neither.
   * @param {Parameters<WebSocket['send']>[0]} data
   */
  send(data) {
    // A socket that the other side is closing is no longer open, and would drop it without a word.
    if (this.state === 'open' && this.#socket?.readyState === 1) {
      this.#socket.send(data);
      return true;
    }
    const room = this.#queue.length < (this.#options.queue ?? 100);
    if (!room || this.state === 'closing' || this.state === 'closed') return false;
    this.#queue.push(data);
    return true;
  }

  /**
   * Ends it for good.
   * @param {number} [code]
   * @param {string} [reason]
   */
  close(code = 1000, reason = '') {
    if (this.state === 'closing' || this.state === 'closed') return;
    if (!this.#socket) return this.#finish(code, reason);
    this.#socket.close(code, reason);
    this.state = 'closing';
    this.#later(PATIENCE, () => this.#finish(1006, ''));
  }

  /**
   * Connects now, in place of what there is, with what changed.
   * @param {Renewal | void} change
   */
  reconnect(change) {
    if (this.state === 'closing' || this.state === 'closed') return;
    if (change) this.#change(change);
    if (this.#socket) {
      this.#part('waiting', 1000, 'reconnect');
      // Whoever heard of that may have decided otherwise.
      if (this.state !== 'waiting') return;
    }
    this.#attempt();
  }

  /**
   * The page's answer to `renew`; `false` gives up. Where we went on without, it is for the next time, and who stands
   * is not closed by it.
   * @param {Renewal | false | void} change
   */
  renewed(change) {
    if (change === false) this.state === 'open' || this.close();
    else if (this.state === 'renewing') this.reconnect(change);
    else if (change) this.#change(change);
  }

  /**
   * The page could not answer `renew`: it is asked again, later.
   * @param {Ending} ending
   */
  postpone(ending) {
    if (this.state === 'renewing') this.#wait('renewing', this.#delay(ending), () => this.#ask(ending));
  }

  /** @param {Event} event */
  handleEvent({ type }) {
    if (type === 'pagehide') {
      // A page with an open socket is not kept for the way back, or is kept with a dead one.
      if (this.#socket && this.state !== 'closing') this.#part('paused', 1001, 'page hidden');
    } else if (type !== 'visibilitychange' || this.#world.document.visibilityState === 'visible') {
      this.#wake();
    }
  }

  /** @param {Renewal} change */
  #change({ url, token }) {
    if (url) this.#url = absolute(url, this.#world);
    if (token) this.#token = token;
  }

  /** The page is back, or the network is, or is gone. */
  #wake() {
    if (this.state === 'open') {
      // The network may be another one now. Two heartbeats' time to prove itself instead of four.
      this.#missed = Math.max(this.#missed, 2);
    } else if (this.state === 'paused') this.#attempt();
    else if (!this.#firm) this.#go();
  }

  #attempt() {
    this.#drop();
    if (this.#world.navigator?.onLine === false) {
      const paused = this.state === 'paused';
      this.state = 'paused';
      if (!paused) this.#tell('paused');
      return;
    }
    try {
      this.#open();
    } catch (error) {
      this.#ended(1006, String(error));
    }
  }

  #open() {
    const { protocols = [], WebSocket = this.#world.WebSocket } = this.#options;
    const bearer = this.#token ? ['bearer', this.#token] : [];
    /** @type {WebSocket} */
    const socket = new WebSocket(this.#url, bearer.concat(protocols));
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = ({ data }) => this.#heard(data);
    socket.onclose = ({ code, reason }) => this.#ended(code, reason);
    // It says nothing that the close does not; but the one of Node's `ws` is thrown where nobody listens.
    socket.onerror = () => {};
    this.state = 'connecting';
    this.#later(PATIENCE, () => this.#ended(1006, 'no answer'));
    this.#tell('connecting');
  }

  /** @param {WebSocket} socket */
  #opened(socket) {
    this.state = 'open';
    this.#refusals = this.#ticks = this.#missed = 0;
    this.#later(TICK, () => this.#tick());
    for (const data of this.#queue.splice(0)) socket.send(data);
    this.#tell('open');
  }

  /** @param {unknown} data */
  #heard(data) {
    this.#missed = 0;
    if (data !== this.#options.heartbeat) this.#tell('message', { data });
  }

  #tick() {
    const { heartbeat, beats } = this.#options;
    // Not at the moment of opening: a gateway that takes everybody in and falls over would be stormed.
    if (this.#ticks++) this.#failures = 0;
    if (heartbeat && ++this.#missed > MISSED_MAX) return this.#ended(1006, 'heartbeats missed');
    if (heartbeat && beats) this.#socket?.send(heartbeat);
    this.#later(TICK, () => this.#tick());
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #ended(code, reason) {
    if (this.state === 'closing') return this.#finish(code, reason);
    if (this.state !== 'open') this.#refusals++;
    const refused = this.#refusals && this.#refusals % REFUSALS_PER_RENEWAL === 0;
    const expired = RENEWABLE.includes(code);
    const ask = this.#options.renew && (expired || refused);
    const first = this.#failures === 0;
    const ending = { code, reason };
    const delay = this.#delay(ending);
    this.#drop();
    // Every state is settled before anybody hears of it: who hears may call us again.
    if (code === REVOKED) this.state = 'renewing';
    else if (ask) this.#wait('renewing', expired && first ? 0 : delay, () => this.#ask(ending));
    else this.#wait('waiting', delay, () => this.#attempt());
    const { state } = this;
    this.#tell('close', ending);
    if (this.state === state && (code === REVOKED || (expired && !ask))) this.#tell('renew', ending);
    if (this.state === state && state === 'waiting') this.#tell('reconnecting', { delay });
  }

  /**
   * Asks the page. That a refusal was about credentials is a guess, so an answer that does not come, such as from the
   * same server, must not keep us away for good.
   * @param {Ending} ending
   */
  #ask(ending) {
    if (!RENEWABLE.includes(ending.code)) this.#wait('renewing', PATIENCE, () => this.#attempt());
    this.#tell('renew', ending);
  }

  /**
   * @param {State} state
   * @param {number} delay
   * @param {() => void} next
   */
  #wait(state, delay, next) {
    this.state = state;
    this.#next = next;
    this.#later(delay, () => this.#go());
  }

  /** Ends the wait, if there is one. */
  #go() {
    const next = this.#next;
    if (!next) return;
    this.#drop();
    next();
  }

  /**
   * How long until the next attempt, in milliseconds.
   * @param {Ending} ending
   */
  #delay({ code, reason }) {
    const busy = BUSY.includes(code);
    const hint = /\bretry=(\d+)/.exec(reason)?.[1];
    const bound = Math.min(WAIT_MAX, WAIT_MIN * 2 ** this.#failures++);
    const random = this.#world.Math.random();
    this.#firm = busy || !!hint;
    // The same hint goes to many.
    if (hint) return Math.min(+hint, HINT_MAX) * 1_000 + random * bound;
    return busy ? ((1 + random) * WAIT_MAX) / 2 : random * bound;
  }

  /**
   * @param {number} delay
   * @param {() => void} then
   */
  #later(delay, then) {
    const world = this.#world;
    // In steps: a timer stands still while the machine sleeps, and only the clock on the wall tells.
    const step = Math.min(delay, TICK);
    const due = world.Date.now() + step;
    world.clearTimeout(this.#timer);
    this.#timer = world.setTimeout(() => {
      const slept = world.Date.now() - due > SLEPT;
      if (slept && this.#socket) {
        this.#ended(1006, 'slept');
        this.#wake();
      } else if (delay > step && !(slept && this.#next && !this.#firm)) this.#later(delay - step, then);
      else then();
    }, step);
  }

  /**
   * @param {State} state
   * @param {number} code
   * @param {string} reason
   */
  #part(state, code, reason) {
    this.#drop();
    this.state = state;
    this.#tell('close', { code, reason });
  }

  /** Lets go of the wait, and of the socket without waiting for it: closing a dead one takes a browser long. */
  #drop() {
    this.#world.clearTimeout(this.#timer);
    this.#next = undefined;
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = undefined;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #finish(code, reason) {
    for (const type of PAGE_EVENTS) this.#world.removeEventListener?.(type, this);
    this.#part('closed', code, reason);
  }
}

/**
 * Every browser's WebSocket takes this; only new ones take `/ws/chat`, or a URL of https.
 * @param {string | URL} url
 * @param {World} world
 */
function absolute(url, world) {
  const address = new URL(url, world.location?.href);
  address.protocol = address.protocol.replace('http', 'ws');
  return address.href;
}
