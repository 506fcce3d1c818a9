// Reading in the background: one at a time, asked again when asked meanwhile; a failure is told, not thrown.
import { reasonOf, tell } from "./tell.ts";

export function inBackground(read: () => Promise<void>): () => void {
  let [busy, again] = [false, false];
  const go = async (): Promise<void> => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    do {
      again = false;
      await read().catch((error: unknown) => tell(reasonOf(error), true));
    } while (again);
    busy = false;
  };
  return () => void go();
}
