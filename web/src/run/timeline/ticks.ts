const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000,
];
const LONG_STEPS = [300_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 86_400_000];

/** Round times from 0 up to `length` milliseconds, about `wanted` of them. */
export function ticksOf(length: number, wanted: number): number[] {
  const least = length / Math.max(1, wanted);
  const last = LONG_STEPS[LONG_STEPS.length - 1] ?? 1;
  const step = [...STEPS, ...LONG_STEPS].find((one) => one >= least) ?? Math.ceil(least / last) * last;
  return Array.from({ length: Math.ceil(length / step) }, (_, index) => index * step);
}
