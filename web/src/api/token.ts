// The access token, kept for this browser tab only.
import { signal } from "@preact/signals";

const KEY = "labd.token";

export const token = signal(sessionStorage.getItem(KEY) ?? "");
/** The API refused the present token, or wants one. */
export const refused = signal(false);

export function useToken(text: string): void {
  sessionStorage.setItem(KEY, text);
  token.value = text;
  refused.value = false;
}
