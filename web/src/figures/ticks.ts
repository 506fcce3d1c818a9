// Round numbers for an axis that begins at 0.

const STEPS = [1, 2, 2.5, 5, 10];

/** From 0 to the first one at or above `top`, in about `wanted` steps of 1, 2, 2.5 or 5 times a power of ten. */
export function ticks(top: number, wanted: number): number[] {
  if (!(top > 0) || !Number.isFinite(top)) return [0, 1];
  const rough = top / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (STEPS.find((one) => one * power >= rough * (1 - 1e-9)) ?? 10);
  return Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_, k) => Number((k * step).toPrecision(12)));
}
