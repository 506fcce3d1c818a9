// The emulated chip's time: cycles that the core has executed, and jumps while it rests. It counts in whole cycles between two jumps, so
// that no rounding adds up, and has the interface of rp2040js's own clock, whose alarms its peripherals set.

class Alarm {
  constructor(clock, callback) {
    this.clock = clock;
    this.callback = callback;
    this.due = Infinity; // ns
  }

  schedule(delayNs) {
    this.scheduleAt(this.clock.nanos + delayNs);
  }

  scheduleAt(due) {
    this.due = due;
    this.clock.changed();
  }

  cancel() {
    this.due = Infinity;
    this.clock.changed();
  }
}

export class GuestClock {
  constructor(cycleNs) {
    this.cycleNs = cycleNs;
    this.core = { cycles: 0 }; // the real one once there is a chip
    this.alarms = [];
    this.baseNs = 0;
    this.baseCycles = 0;
    this.dueCycles = Infinity; // of the core, when the next alarm fires
  }

  get nanos() {
    return this.baseNs + (this.core.cycles - this.baseCycles) * this.cycleNs;
  }

  get micros() {
    return this.nanos / 1000;
  }

  createAlarm(callback) {
    const alarm = new Alarm(this, callback);
    this.alarms.push(alarm);
    return alarm;
  }

  changed() {
    const { due } = this.next();
    this.dueCycles = this.baseCycles + Math.ceil((due - this.baseNs) / this.cycleNs);
  }

  next() {
    return this.alarms.reduce((first, alarm) => (alarm.due < first.due ? alarm : first));
  }

  // The alarms whose time has come while code ran, in their order.
  fire() {
    for (let alarm = this.next(); alarm.due <= this.nanos; alarm = this.next()) {
      this.ring(alarm);
    }
  }

  // No code runs until `ns`; an alarm on the way sees the time it was set for. Time never goes back.
  jumpTo(ns) {
    for (let alarm = this.next(); alarm.due <= ns; alarm = this.next()) {
      this.rebase(alarm.due);
      this.ring(alarm);
    }
    this.rebase(ns);
  }

  ring(alarm) {
    alarm.due = Infinity;
    this.changed();
    alarm.callback();
  }

  rebase(ns) {
    if (ns > this.nanos) {
      this.baseNs = ns;
      this.baseCycles = this.core.cycles;
      this.changed();
    }
  }
}
