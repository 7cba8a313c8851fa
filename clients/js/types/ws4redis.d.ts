/**
 * What it is doing.
 *
 * - `connecting`: an attempt is under way.
 * - `open`: messages go both ways.
 * - `waiting`: the last connection is gone, the next attempt has its time.
 * - `paused`: the machine is offline, or the page is put aside; it goes on by itself when that ends.
 * - `renewing`: the page was or will be asked for new credentials; nothing happens until it answers.
 * - `closing`, `closed`: `close()` was called. The only end there is.
 */
export type State = 'connecting' | 'open' | 'waiting' | 'paused' | 'renewing' | 'closing' | 'closed';

/** What changes with the next connection; what is left out stays. */
export interface Renewal {
  url?: string | URL;
  token?: string;
}

/** Why a connection ended: the code of RFC 6455 7.4, and the gateway's word for it. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
}

export interface WS4RedisOptions {
  /** The gateway's `heartbeat`: it is not handed on, and after four that did not come the connection is replaced. */
  heartbeat?: string;
  /** A JSON Web Token, sent as the subprotocol pair `bearer, <token>`. */
  token?: string;
  /** Subprotocols to offer. */
  protocols?: string | string[];
  /** How many messages `send` takes while there is no connection: 100 unless told otherwise, 0 for none. */
  queue?: number;
  /**
   * Gets new credentials, when the old ones expired (4401), were refused by policy (1008), or may be the reason why
   * handshakes are refused (1006, each third in a row). What it returns is used for the next connection; `false` closes
   * for good. If it fails, there is an `error` event, and it is asked again later.
   */
  renew?: (ending: Ending) => Renewal | false | void | Promise<Renewal | false | void>;
  /** The WebSocket to use, where there is none or another is wanted. */
  WebSocket?: new (url: string, protocols?: string | string[]) => any;
}

export interface WS4RedisEvents {
  /** An attempt begins. The very first one begins before anybody can listen. */
  connecting: Event;
  /** The connection stands, and what was queued has been sent. */
  open: Event;
  /** A message: a text, or an `ArrayBuffer` where it is not UTF-8. */
  message: Event & { readonly data: any };
  /** A connection or an attempt ended; `state` says what is next. */
  close: Event & Ending;
  /** The next attempt comes in so many milliseconds. */
  reconnecting: Event & { readonly delay: number };
  /** No attempts for now: offline. */
  paused: Event;
  /** New credentials are needed (4401, 1008), or the permission is withdrawn (4403): then only `reconnect` leads back. */
  renew: Event & Ending;
  /** The `renew` callback failed. */
  error: Event & { readonly error: unknown };
}

type Listener<K extends keyof WS4RedisEvents> =
  | ((this: WS4Redis, event: WS4RedisEvents[K]) => unknown)
  | { handleEvent(event: WS4RedisEvents[K]): unknown };

/**
 * A WebSocket to a ws4redis gateway that comes back by itself.
 *
 *     const socket = new WS4Redis('/ws/news?subscribe-broadcast');
 *     for await (const text of socket) show(text);
 */
export class WS4Redis extends EventTarget {
  /** Connects. The URL may be relative to the page, and http(s) in place of ws(s). */
  constructor(url: string | URL, options?: WS4RedisOptions);
  readonly state: State;
  /** Sends; queues while there is no connection. False: neither, because the queue is full or it is closed. */
  send(data: string | ArrayBufferLike | Blob | ArrayBufferView<ArrayBufferLike>): boolean;
  /** Ends it for good. What is queued is dropped. */
  close(code?: number, reason?: string): void;
  /** Connects now, in place of the connection or the wait that there is. Nothing where it is closed. */
  reconnect(change?: Renewal): void;
  /** The messages from now on, over all connections, until it is closed. Leaving the loop closes nothing. */
  [Symbol.asyncIterator](): AsyncGenerator<any, void, void>;
  addEventListener<K extends keyof WS4RedisEvents>(
    type: K,
    listener: Listener<K> | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof WS4RedisEvents>(
    type: K,
    listener: Listener<K> | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
