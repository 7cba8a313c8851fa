/** What the original takes, by its names. */
export interface ClassicOptions {
  uri: string;
  /** An attempt begins. */
  connecting?: () => void;
  /** The connection stands. */
  connected?: () => void;
  /** A connection or an attempt ended. */
  disconnected?: (event: Event & { readonly code: number; readonly reason: string }) => void;
  /** A message: a text, or an `ArrayBuffer` where it is not UTF-8. */
  receive_message?: (data: any) => void;
  /** The gateway's `heartbeat`. It is sent every 5 s; if more than 3 in a row do not come, the connection is replaced. */
  heartbeat_msg?: string | null;
}

/** The drop-in for the original's `WS4Redis`. */
export interface Classic {
  /** Sends; queues up to 100 messages while there is no connection. False: neither. */
  send_message(message: string): boolean;
  /** As `WebSocket.readyState`. */
  get_state(): 0 | 1 | 2 | 3;
  is_connecting(): boolean;
  is_connected(): boolean;
  is_closing(): boolean;
  is_closed(): boolean;
  /** Ends it for good. */
  close(): void;
}

declare global {
  var WS4Redis: {
    new (options: ClassicOptions, $?: unknown): Classic;
    (options: ClassicOptions, $?: unknown): Classic;
  };
}
