// SPDX-License-Identifier: Apache-2.0
// The limit of a cgroup over time, as its steps told it: [nanoseconds, bytes], null where there was none.

// Limits hold until the next one; the last until the end.
export function limitsOf(limits, series) {
  // Steps that tell of no limit tell that there was none: null.
  const told = limits.length > 0;
  if (!limits.some(([, bytes]) => bytes !== null) || !series.x.length) return { x: [], y: [], told };
  const x = limits.map(([ns]) => ns / 1e9);
  const y = limits.map(([, bytes]) => bytes);
  x[0] = Math.min(x[0], series.x[0]);
  const end = series.x[series.x.length - 1];
  if (end > x[x.length - 1]) {
    x.push(end);
    y.push(y[y.length - 1]);
  }
  return { x, y, told };
}
