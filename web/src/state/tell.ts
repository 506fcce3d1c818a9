// What the page has to tell the reader: the outcome of an action, or why it failed.
import { signal } from "@preact/signals";

export interface Message {
  readonly text: string;
  readonly bad: boolean;
}

export const message = signal<Message | null>(null);

/** Runs an action and tells its outcome; answers whether it worked. */
export async function told(action: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await action();
    message.value = { text: done, bad: false };
    return true;
  } catch (error) {
    message.value = { text: error instanceof Error ? error.message : String(error), bad: true };
    return false;
  }
}
