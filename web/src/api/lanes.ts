// Requests side by side, but never so many that others have to wait for a free connection.

/** A browser keeps six connections to a host: one of them has to be free for the emergency stop. */
const LANES = 4;

/** Results in the order of the items. */
export async function inLanes<T, R>(items: readonly T[], act: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const left = items.map((item, k) => [item, k] as const).reverse();
  const lane = async (): Promise<void> => {
    for (let next = left.pop(); next; next = left.pop()) results[next[1]] = await act(next[0]);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return results;
}
