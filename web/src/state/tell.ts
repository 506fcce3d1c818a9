// What the page has to tell the reader: the outcome of an action, or why it failed.
import { signal } from "@preact/signals";

export interface Message {
  readonly text: string;
  readonly bad: boolean;
  /** Counts up, so that a text that comes again is told again. */
  readonly n: number;
}

export const message = signal<Message | null>(null);

export function tell(text: string, bad: boolean): void {
  message.value = { text, bad, n: (message.peek()?.n ?? 0) + 1 };
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Runs an action and tells its outcome; answers whether it worked. */
export async function told(action: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await action();
    tell(done, false);
    return true;
  } catch (error) {
    tell(reasonOf(error), true);
    return false;
  }
}
