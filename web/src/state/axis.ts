// Linear or logarithmic axes of current and power, as the reader left them.
import { effect, signal } from "@preact/signals";

const KEY = "labd.log";

export const logarithmic = signal(localStorage.getItem(KEY) === "1");

effect(() => localStorage.setItem(KEY, logarithmic.value ? "1" : "0"));
