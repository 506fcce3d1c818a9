// A WebSocket that comes back by itself, waiting longer each time, and tells how it stands.
import { signal, type Signal } from "@preact/signals";
import { PREFIX } from "./request.ts";
import { token } from "./token.ts";

/** `open`: messages come. A connection that is accepted but says nothing is not open. */
export type Link = "connecting" | "open" | "lost";

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;

export class Socket {
  readonly state: Signal<Link> = signal<Link>("connecting");
  private readonly path: string;
  private readonly receive: (data: string | ArrayBuffer) => void;
  private readonly longest_silence_ms: number;
  private wait_ms = FIRST_WAIT_MS;
  private socket: WebSocket | null = null;
  private timer = 0;
  private watch = 0;

  /** longest_silence_ms: after it the connection counts as lost; 0 for a path on which nothing may come for long. */
  constructor(path: string, receive: (data: string | ArrayBuffer) => void, longest_silence_ms = 0) {
    this.path = path;
    this.receive = receive;
    this.longest_silence_ms = longest_silence_ms;
  }

  /** Connects anew at once, with the present token. */
  open(): void {
    window.clearTimeout(this.timer);
    this.close();
    const url = new URL(PREFIX + this.path, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, token.value ? [`labd.token.${token.value}`] : []);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => {
      this.wait_ms = FIRST_WAIT_MS;
      this.listen();
      this.state.value = "open";
      this.receive(event.data as string | ArrayBuffer);
    };
    socket.onclose = () => this.again();
    this.socket = socket;
    this.listen();
  }

  private listen(): void {
    window.clearTimeout(this.watch);
    if (this.longest_silence_ms) this.watch = window.setTimeout(() => this.again(), this.longest_silence_ms);
  }

  private close(): void {
    window.clearTimeout(this.watch);
    if (!this.socket) return;
    // A half-open connection takes minutes to close: nothing more is heard from this one from now on.
    this.socket.onmessage = null;
    this.socket.onclose = null;
    this.socket.close();
    this.socket = null;
  }

  private again(): void {
    this.close();
    this.state.value = "lost";
    this.timer = window.setTimeout(() => this.open(), this.wait_ms);
    this.wait_ms = Math.min(2 * this.wait_ms, LONGEST_WAIT_MS);
  }
}
