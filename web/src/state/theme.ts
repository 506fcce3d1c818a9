// Light or dark: the system's choice unless the reader made one.
import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const KEY = "labd.theme";
const ORDER: readonly Theme[] = ["system", "light", "dark"];
const dark = window.matchMedia("(prefers-color-scheme: dark)");

export const theme = signal<Theme>(ORDER.find((name) => name === localStorage.getItem(KEY)) ?? "system");
/** Counts up when colours change, for what draws on a canvas. */
export const repaint = signal(0);

dark.addEventListener("change", () => (repaint.value += 1));

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
  localStorage.setItem(KEY, theme.value);
  repaint.value = repaint.peek() + 1;
});

export function nextTheme(): void {
  theme.value = ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length] ?? "system";
}

export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
