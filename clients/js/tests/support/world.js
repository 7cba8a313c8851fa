/** A world in which nothing happens by itself: its clock, its dice, its page and its WebSockets are moved by the test. */

import { setMaxListeners } from 'node:events';

export class World extends EventTarget {
  navigator = { onLine: true };
  document = { visibilityState: 'visible' };
  location = { href: 'https://example.com/news/' };
  /** All sockets ever made, the newest last. */
  sockets = [];
  /** What the dice show: by default the longest wait, so that nothing comes earlier than a test expects. */
  dice = 1;
  /** Listeners that are still there. */
  listeners = 0;
  #now = 0;
  #slept = 0;
  #timers = new Map();
  #next = 1;

  constructor() {
    super();
    setMaxListeners(0, this);
    const world = this;
    this.Date = { now: () => world.#now + world.#slept };
    this.Math = { random: () => world.dice };
    this.WebSocket = class extends Socket {
      constructor(url, protocols) {
        if (world.broken) throw new SyntaxError(world.broken);
        super(url, protocols);
        world.sockets.push(this);
      }
    };
  }

  get socket() {
    return this.sockets.at(-1);
  }

  setTimeout(call, delay = 0) {
    this.#timers.set(this.#next, { call, at: this.#now + delay });
    return this.#next++;
  }

  clearTimeout(timer) {
    this.#timers.delete(timer);
  }

  /** How many timers are set. */
  get timers() {
    return this.#timers.size;
  }

  /** Lets time pass, and its timers ring in order. */
  pass(seconds) {
    const end = this.#now + seconds * 1000;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].call();
    }
    this.#now = end;
  }

  /** The machine sleeps: the clock on the wall goes on, the timers' does not. */
  sleep(seconds) {
    this.#slept += seconds * 1000;
  }

  say(type) {
    this.dispatchEvent(new Event(type));
  }

  goOnline(onLine) {
    this.navigator.onLine = onLine;
    this.say(onLine ? 'online' : 'offline');
  }

  show(visibilityState) {
    this.document.visibilityState = visibilityState;
    this.say('visibilitychange');
  }

  addEventListener(...listener) {
    this.listeners++;
    super.addEventListener(...listener);
  }

  removeEventListener(...listener) {
    this.listeners--;
    super.removeEventListener(...listener);
  }
}

/** One WebSocket whose other end is the test. */
class Socket {
  readyState = 0;
  sent = [];

  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
  }

  send(data) {
    this.sent.push(data);
  }

  close(code, reason) {
    if (code !== undefined && code !== 1000 && code < 3000) throw new RangeError(`no code for a page: ${code}`);
    if (this.readyState < 2) this.readyState = 2;
    this.closed = [code, reason];
  }

  /** The gateway answers 101. */
  open() {
    this.readyState = 1;
    this.onopen?.({});
    return this;
  }

  /** The gateway says something. */
  hear(data) {
    this.onmessage?.({ data });
  }

  /** The gateway, or the network, ends it. */
  end(code = 1006, reason = '') {
    this.readyState = 3;
    this.onerror?.({});
    this.onclose?.({ code, reason });
  }
}
