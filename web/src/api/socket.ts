// A WebSocket that comes back by itself, waiting longer each time, and tells how it stands.
import { signal, type Signal } from "@preact/signals";
import { PREFIX } from "./request.ts";
import { token } from "./token.ts";

export type Link = "connecting" | "open" | "lost";

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;

export class Socket {
  readonly state: Signal<Link> = signal<Link>("connecting");
  private readonly path: string;
  private readonly receive: (data: string | ArrayBuffer) => void;
  private wait_ms = FIRST_WAIT_MS;
  private socket: WebSocket | null = null;
  private timer = 0;

  constructor(path: string, receive: (data: string | ArrayBuffer) => void) {
    this.path = path;
    this.receive = receive;
  }

  /** Connects anew at once, with the present token. */
  open(): void {
    window.clearTimeout(this.timer);
    this.close();
    const url = new URL(PREFIX + this.path, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, token.value ? [`labd.token.${token.value}`] : []);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.wait_ms = FIRST_WAIT_MS;
      this.state.value = "open";
    };
    socket.onmessage = (event) => this.receive(event.data as string | ArrayBuffer);
    socket.onclose = () => this.again();
    this.socket = socket;
  }

  private close(): void {
    if (!this.socket) return;
    this.socket.onclose = null;
    this.socket.close();
  }

  private again(): void {
    this.state.value = "lost";
    this.timer = window.setTimeout(() => this.open(), this.wait_ms);
    this.wait_ms = Math.min(2 * this.wait_ms, LONGEST_WAIT_MS);
  }
}
