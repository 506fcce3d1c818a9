import assert from "node:assert/strict";
import { test } from "node:test";
import { fromInput, instantIn, toInput } from "../src/format/when.ts";

const AT_NS = Date.UTC(2026, 0, 5, 1, 0) * 1e6;

test("an instant goes into a field of the form and comes back, to the minute", () => {
  assert.equal(fromInput(toInput(AT_NS)), AT_NS);
  assert.equal(fromInput(toInput(AT_NS + 30e9)), AT_NS);
  assert.match(toInput(AT_NS), /^2026-01-0\dT\d\d:00$/);
});

test("an empty field is no instant", () => {
  assert.equal(toInput(null), "");
  assert.equal(fromInput(""), null);
});

test("the time of a recurring job is that of its own zone, which is named", () => {
  const there = instantIn(AT_NS, "Asia/Tokyo");
  assert.match(there, /10:00.*Asia\/Tokyo$/);
  assert.notEqual(there, instantIn(AT_NS, "Europe/Berlin"));
});

test("a zone that the browser does not know is not claimed", () => {
  assert.doesNotMatch(instantIn(AT_NS, "Mars/Olympus"), /Mars/);
});
