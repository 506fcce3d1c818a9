// Frames and windows of the daemon, decoded: docs/reference/live-frames.md.
import { CHANNELS, LINES, type Band, type Channel, type Envelope } from "./channels.ts";
import type { Told } from "./phases.ts";

export interface Start {
  readonly run: string;
  readonly capture: string;
  readonly order: number;
  readonly instrument: string;
  readonly role: string;
  readonly mode: string;
  readonly marks: string;
  readonly dt_ns: number;
  readonly t_ns: number;
}

interface Piece {
  readonly stretch: number;
  readonly trigger: boolean;
  readonly first: number;
  readonly per_bucket: number;
  readonly t0_ns: number;
  readonly dt_ns: number;
  readonly count: number;
  readonly channels: readonly string[];
  readonly digital: boolean;
  readonly lengths?: number;
}

export interface Header {
  readonly n?: number;
  readonly t_ns?: number;
  readonly start?: Start;
  readonly end?: { readonly error: string };
  readonly pieces: readonly Piece[];
  readonly phases?: readonly Told[];
  readonly energy_j?: number;
  readonly charge_c?: number;
  readonly samples?: number;
  readonly flags?: readonly string[];
  readonly newest_t_ns?: number | null;
  readonly lost_blocks?: number;
  readonly stretch_length?: number;
}

export interface Frame {
  readonly header: Header;
  readonly envelopes: readonly Envelope[];
  readonly triggers: readonly boolean[];
}

const HEAD = 12;
const MAGIC = 0x4442414c; // "LABD", little endian

export function decode(data: ArrayBuffer): Frame {
  const view = new DataView(data);
  if (data.byteLength < HEAD || view.getUint32(0, true) !== MAGIC || view.getUint8(4) !== 1) throw new Error("not a frame of this daemon");
  const length = view.getUint32(8, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, HEAD, length))) as Header;
  let at = HEAD + length;
  const envelopes = header.pieces.map((piece) => {
    const bands: Partial<Record<Channel, Band>> = {};
    const column = (): Float32Array => {
      const found = new Float32Array(data, at, piece.count);
      at += 4 * piece.count;
      return found;
    };
    for (const name of piece.channels) {
      const low = column();
      const [high, mean] = piece.per_bucket === 1 ? [low, low] : [column(), column()];
      const channel = CHANNELS.find((one) => one === name);
      if (channel) bands[channel] = { low, high, mean };
    }
    if (piece.digital) {
      const [ever, always] = [new Uint8Array(data, at, piece.count), new Uint8Array(data, at + piece.count, piece.count)];
      LINES.forEach((line, bit) => (bands[line] = lineOf(ever, always, bit)));
      at += 4 * Math.ceil((2 * piece.count) / 4);
    }
    const [t0_s, dt_s] = [piece.t0_ns / 1e9, piece.dt_ns / 1e9];
    const envelope = { stretch: piece.stretch, first: piece.first, perBucket: piece.per_bucket, t0_s, dt_s, count: piece.count, bands };
    return piece.lengths === undefined ? envelope : { ...envelope, lastLength: piece.lengths };
  });
  return { header, envelopes, triggers: header.pieces.map((piece) => piece.trigger) };
}

function lineOf(ever: Uint8Array, always: Uint8Array, bit: number): Band {
  const [low, high] = [always.map((bits) => (bits >> bit) & 1), ever.map((bits) => (bits >> bit) & 1)];
  return { low, high, mean: Float32Array.from(low, (level, k) => (level + (high[k] ?? 0)) / 2) };
}
