// The wire to the virtual board on descriptor 3: one request, one reply, blocking (docs/decisions/0002-firmware-hal.md).
import { readSync, writeSync } from 'node:fs';

const DESCRIPTOR = 3;
const REQUEST_SIZE = 8;
const REPLY_SIZE = 16;

export const Op = { SPEND: 1, WAIT: 2, PIN: 3, UART_TX: 4, UART_RX: 5, NOW: 6, UART_FLUSH: 7, TIMER_AT: 8 };
export const Event = { UART: 1, TRIG: 2, TIMER: 4 };
export const IN_NS = 0x80; // in a of WAIT and TIMER_AT: times are ns
export const NO_TIMEOUT = 0xffffffff;

function receive(length) {
  const bytes = Buffer.alloc(length);
  let have = 0;
  while (have < length) {
    let count = 0;
    try {
      count = readSync(DESCRIPTOR, bytes, have, length - have);
    } catch (error) {
      if (error.code !== 'ECONNRESET') {
        throw error;
      }
    }
    if (count === 0) {
      process.exit(0); // the board has lost its supply
    }
    have += count;
  }
  return bytes;
}

function send(bytes) {
  let sent = 0;
  while (sent < bytes.length) {
    try {
      sent += writeSync(DESCRIPTOR, bytes, sent);
    } catch (error) {
      if (error.code === 'EPIPE' || error.code === 'ECONNRESET') {
        process.exit(0);
      }
      throw error;
    }
  }
}

export function ask(op, a = 0, b = 0, c = 0, payload = null) {
  const head = Buffer.alloc(REQUEST_SIZE);
  head.writeUInt8(op, 0);
  head.writeUInt8(a, 1);
  head.writeUInt16LE(b, 2);
  head.writeUInt32LE(c, 4);
  send(payload === null ? head : Buffer.concat([head, payload]));
  const reply = receive(REPLY_SIZE);
  const value = reply.readUInt32LE(12);
  return {
    tNs: Number(reply.readBigUInt64LE(0)),
    events: reply.readUInt32LE(8),
    value,
    payload: op === Op.UART_RX ? receive(value) : null,
  };
}
