// Runs an RP2040 image cycle by cycle (rp2040js) as the firmware of a virtual board: `node rp2040.mjs RP2040JS IMAGE [PIN_LOG]`.
//
// The chip runs ahead of the board by what it has executed since the last request, and the board is then asked to let that pass. What the
// program notes in watchdog scratch registers (firmware/boards/rp2040/notes.h) tells what cycles were spent on and which rest begins. A rest
// is a WAIT; what ends it comes as the interrupt that a chip would get, at the instant the board says it happened, so that an oscillator
// start passes in the chip's time too. Bytes and edges that come while code runs are delivered at the next rest or look at the UART.
//
// PIN_LOG gets one line an edge, `NS PIN LEVEL`, in the board's own ns, appended before the board hears of it; `NS BOOT CYCLES` at each start.
//
// What rp2040js leaves out: entering an exception takes no cycles (15 on a Cortex-M0+), and the UART's transmitter is always ready.
import { appendFileSync, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { bootFromFlash } from './boot_rom.mjs';
import { loadElf } from './elf.mjs';
import { GuestClock } from './guest_clock.mjs';
import { Event, IN_NS, NO_TIMEOUT, Op, ask as askBoard } from './wire.mjs';

const CLOCK_HZ = 125e6; // what the image sets its PLL to
const CYCLE_NS = 1e9 / CLOCK_HZ;
const FLASH = 0x10000000;
const SRAM = 0x20000000;
const PIN = { UART_RX: 1, TRIG: 2, MARK: 3 };
const WATCHDOG = 0x40058;
const TIMER = 0x40054;
const SCRATCH = [0x0c, 0x10, 0x14, 0x18];
const UART_RIS = 0x3c;
const UART_CR = 0x30;
const RECEIVER = 1 << 9;
const ALARM = { EVENT: 0x10, TIMEOUT: 0x14 };
const ARMED = 0x20;
const FORCE = 0x3c;
const FLUSHING = 0x80000000;
const State = { BUSY_POLL: 0, SLEEP_RETAINED: 3, SLEEP_MODEL_OFF: 4 };
const Phase = { SLEEP: 2, WAKE: 3, INFER: 5, TAIL: 6, IDLE: 7 };
const RUNNING = 50; // % activity of code that nobody has told about
const LARGEST_NS = 0xfffffffe;
const FIFO_SIZE = 32;
const DRIFT_NS = 2; // two clocks that round differently

const [library, image, pinLog] = process.argv.slice(2);
const { RP2040 } = await import(pathToFileURL(library));

function fail(reason) {
  process.stderr.write(`rp2040 emulator: ${reason}\n`);
  process.exit(1);
}

// An image in SRAM starts as one that a debugger has put there; one in flash, by way of the boot ROM.
function start(file) {
  let flashed = false;
  const entry = loadElf(file, (address, bytes) => {
    if (address >= SRAM) {
      chip.sram.set(bytes, address - SRAM);
    } else {
      chip.flash.set(bytes, address - FLASH);
      flashed = true;
    }
  });
  return flashed ? bootFromFlash(chip.flash, chip.sram) : entry;
}

const clock = new GuestClock(CYCLE_NS);
const chip = new RP2040(clock);
const { core } = chip;
const [uart] = chip.uart;
clock.core = core;
chip.onBreak = () => fail(`the program faulted, at ${core.PC.toString(16)}`);
chip.logger = {
  debug() {},
  info() {},
  // Registers that it knows but does not model are no harm (clock gating); memory or instructions that do not exist are.
  warn(name, message) {
    if (name === 'RP2040' || name === 'CortexM0Core') {
      fail(message);
    }
  },
  error: (_name, message) => fail(message),
};
try {
  core.PC = start(readFileSync(image));
} catch (error) {
  fail(error.message);
}

let originNs = 0; // the board's counter when the chip got its reset
let boardNs = 0; // what the board's counter showed last, counted from then
let spentCycles = 0; // of these the board knows
let spending = { phase: Phase.IDLE, activity: RUNNING };
let rest = null; // the last one noted: { state, events, phase, asked: whether the board knows of it }
let eventDueNs = Infinity; // the timer event that the board knows of
let edges = '';
let markLevel = 0;
const outgoing = [];
const model = { start: 0, length: 0 };
const todo = []; // what an instruction has set off, done once it is complete

// --- talking to the board

function ask(...request) {
  if (edges !== '') {
    appendFileSync(pinLog, edges);
    edges = '';
  }
  const reply = askBoard(...request);
  boardNs = reply.tNs - originNs;
  return reply;
}

function log(name, level) {
  if (pinLog !== undefined) {
    edges += `${originNs + clock.nanos} ${name} ${level}\n`;
  }
}

// The board has seen the time pass that the chip has.
function check() {
  const drift = boardNs - clock.nanos;
  if (Math.abs(drift) > DRIFT_NS) {
    fail(`board and chip are ${drift} ns apart: is the board's clock ${CLOCK_HZ / 1e6} MHz, with cycle_dispersion 0?`);
  }
}

function sendBytes() {
  if (outgoing.length > 0) {
    const bytes = Buffer.from(outgoing.splice(0));
    ask(Op.UART_TX, 0, bytes.length, 0, bytes);
  }
}

// Let what was executed pass on the board.
function catchUp() {
  sendBytes();
  const cycles = core.cycles - spentCycles;
  if (cycles > 0) {
    spentCycles = core.cycles;
    ask(Op.SPEND, spending.phase, spending.activity, cycles);
    check();
  }
}

// Bytes that the board's UART has received, as far as there is room; none while the program has its receiver off.
function takeBytes() {
  if (!uart.rxEnabled) {
    return 0;
  }
  const { payload } = ask(Op.UART_RX, 0, 0, FIFO_SIZE - uart.rxFIFO.itemCount);
  payload.forEach((byte) => uart.feedByte(byte));
  return payload.length;
}

// What came while the receiver was off.
function dropBytes() {
  catchUp();
  while (ask(Op.UART_RX, 0, 0, FIFO_SIZE).payload.length > 0) {}
}

// --- what the program does

function noted(value) {
  if (rest !== null) {
    rest.asked = true; // over before it began: its time-out had passed already
  }
  spending = { phase: value & 0xff, activity: (value >>> 8) & 0xff };
  catchUp();
}

function restNoted(value) {
  rest = { state: value & 0xff, events: (value >>> 8) & 0xff, phase: (value >>> 16) & 0xff, asked: false };
  const expired = (rest.events & Event.TIMER) !== 0 && eventDueNs <= clock.nanos;
  if (rest.state === State.BUSY_POLL || expired) {
    wait(); // else at the WFI that follows
  }
}

function flushNoted() {
  catchUp();
  ask(Op.UART_FLUSH);
  clock.jumpTo(boardNs);
}

function markChanged(level) {
  if (level === markLevel) {
    return; // a pin that becomes an output
  }
  markLevel = level;
  catchUp();
  log('MARK', level);
  ask(Op.PIN, 0, level);
  if (spending.phase === Phase.INFER) {
    spending = { phase: rest?.phase === Phase.IDLE ? Phase.IDLE : Phase.TAIL, activity: RUNNING };
  }
}

function byteSent(byte) {
  if (outgoing.length === 0) {
    catchUp();
  }
  outgoing.push(byte);
}

// Board and chip round by themselves, and the chip never goes back: a delay is counted from what the board shows, or the two would creep apart.
function sinceBoard(ns) {
  return Math.round(ns - boardNs);
}

function eventSet(dueNs) {
  eventDueNs = dueNs;
  catchUp();
  const delay = BigInt.asUintN(48, BigInt(sinceBoard(dueNs) || 1));
  ask(Op.TIMER_AT, IN_NS, Number(delay >> 32n), Number(delay & 0xffffffffn));
}

function eventCancelled() {
  if (eventDueNs !== Infinity) {
    eventDueNs = Infinity;
    catchUp();
    ask(Op.TIMER_AT, 0, 0, 0);
  }
}

// --- rest

function pulse(pin, level) {
  chip.gpio[pin].setInputValue(level);
  chip.gpio[pin].setInputValue(!level);
}

function timeout() {
  if (timeoutAlarm.due === Infinity) {
    return [0, NO_TIMEOUT];
  }
  const ns = Math.max(0, sinceBoard(timeoutAlarm.due));
  return ns <= LARGEST_NS ? [IN_NS, ns] : [0, Math.ceil(ns / 1000)];
}

function wait() {
  rest.asked = true;
  catchUp();
  const { state, events, phase } = rest;
  const [unit, delay] = timeout();
  const reply = ask(Op.WAIT, state | unit, events | (phase << 8), delay);
  const awakeNs = boardNs;
  clock.jumpTo(awakeNs - reply.value);
  if (reply.events & Event.TRIG) {
    log('TRIG', 1);
    pulse(PIN.TRIG, true);
  }
  if (reply.events & Event.UART && takeBytes() === 0) {
    pulse(PIN.UART_RX, false);
  }
  if (reply.events & Event.TIMER) {
    clock.jumpTo(eventDueNs); // the board may have rounded it down
    eventDueNs = Infinity;
  } else if (reply.events === 0) {
    clock.jumpTo(Math.min(timeoutAlarm.due, awakeNs + 1));
  }
  clock.jumpTo(awakeNs);
  if (state === State.SLEEP_MODEL_OFF) {
    // Memory that was off holds garbage: a forgotten reload must show in the checksum.
    chip.sram.fill(0xa5, model.start - SRAM, model.start - SRAM + model.length);
  }
  const slept = phase === Phase.SLEEP;
  spending = { phase: slept ? Phase.WAKE : phase, activity: RUNNING };
}

function restOrGoOn() {
  if (core.pendingInterrupts & core.enabledInterrupts) {
    core.waiting = false; // WFI ends at once where an interrupt is pending, masked or not
  } else if (rest === null) {
    fail('the program sleeps without a note');
  } else {
    wait();
    if (core.waiting) {
      fail('nothing that ended the rest woke the chip');
    }
  }
}

// --- hooks

function hook(object, method, replacement) {
  const original = object[method].bind(object);
  object[method] = (...args) => replacement(original, ...args);
}

hook(chip.peripherals[WATCHDOG], 'writeUint32', (original, offset, value) => {
  original(offset, value);
  switch (SCRATCH.indexOf(offset)) {
    case 0:
      todo.push(() => noted(value));
      break;
    case 1:
      todo.push(() => (value >>> 0 === FLUSHING ? flushNoted() : restNoted(value)));
      break;
    case 2:
      model.start = value >>> 0;
      break;
    case 3:
      model.length = value;
      break;
  }
});

const timer = chip.peripherals[TIMER];
const eventAlarm = timer.alarms[0].clockAlarm;
const timeoutAlarm = timer.alarms[1].clockAlarm;

// rp2040js cuts the distance to an alarm to whole microseconds: it would fire up to one early.
hook(timer, 'writeUint32', (original, offset, value) => {
  original(offset, value);
  const alarm = { [ALARM.EVENT]: eventAlarm, [ALARM.TIMEOUT]: timeoutAlarm }[offset];
  if (alarm !== undefined) {
    const nowUs = Math.floor(clock.micros);
    alarm.scheduleAt((nowUs + ((value - nowUs) >>> 0)) * 1000);
  }
  if (offset === ALARM.EVENT) {
    const due = eventAlarm.due;
    todo.push(() => eventSet(due));
  } else if (offset === ARMED && timer.rawWriteValue & 1) {
    todo.push(eventCancelled);
  } else if (offset === FORCE && value & 1) {
    // The program found the alarm's time past when it had set it.
    const nowUs = Math.floor(clock.micros);
    const due = (nowUs - ((nowUs - timer.alarms[0].targetMicros) >>> 0)) * 1000;
    todo.push(() => eventSet(due));
  }
});

hook(uart, 'readUint32', (original, offset) => {
  if (offset === UART_RIS && uart.rxFIFO.empty) {
    catchUp();
    takeBytes();
  }
  return original(offset);
});

hook(uart, 'writeUint32', (original, offset, value) => {
  if (offset === UART_CR && value & RECEIVER && !uart.rxEnabled) {
    dropBytes();
  }
  original(offset, value);
});

uart.onByte = (byte) => todo.push(() => byteSent(byte));
chip.gpio[PIN.MARK].addListener((now, before) => {
  if (now !== before && now <= 1) {
    todo.push(() => markChanged(now));
  }
});

originNs = ask(Op.NOW).tNs;
log('BOOT', core.cycles);
for (;;) {
  core.executeInstruction();
  if (core.cycles >= clock.dueCycles) {
    clock.fire();
    if (rest?.asked === false) {
      todo.push(wait); // between the note and the WFI, which the program will not come to
    }
  }
  while (todo.length > 0) {
    todo.shift()();
  }
  if (core.waiting) {
    restOrGoOn();
  }
}
