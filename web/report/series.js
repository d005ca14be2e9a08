// SPDX-License-Identifier: Apache-2.0
// The page's series: usage that holds from one point to the next. x counts seconds since the recording began.

/** Of userspace/report/series.h: base64 of LEB128 numbers, time and zigzag usage. */
export function decode({ data, count, unit }) {
  const bytes = atob(data);
  const x = new Float64Array(count);
  const y = new Float64Array(count);
  let at = 0;
  const next = () => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes.charCodeAt(at++);
      value += (byte & 127) * scale;
      if (!(byte & 128)) return value;
      scale *= 128;
    }
  };
  let time = 0;
  let usage = 0;
  for (let i = 0; i < count; ++i) {
    time += next();
    const change = next();
    usage += change % 2 ? -(change + 1) / 2 : change / 2;
    x[i] = time / 1e9;
    y[i] = usage * unit;
  }
  return { x, y };
}

/** Index of the last point at or before `time`; -1: none. */
export function before(x, time) {
  let low = 0;
  let high = x.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** What a reader would have seen at `time`; null before the first point. */
export function valueAt({ x, y }, time) {
  const at = before(x, time);
  return at < 0 ? null : y[at];
}

/** The lowest and highest of each of `buckets` equal times, for what is drawn small. */
export function thinned({ x, y }, buckets) {
  if (x.length <= buckets * 2) return { x: Array.from(x), y: Array.from(y) };
  const out = { x: [], y: [] };
  const width = (x[x.length - 1] - x[0]) / buckets || 1;
  for (let i = 0; i < x.length;) {
    const end = x[0] + (Math.floor((x[i] - x[0]) / width) + 1) * width;
    let low = i;
    let high = i;
    for (; i < x.length && (x[i] < end || i === low); ++i) {
      if (y[i] < y[low]) low = i;
      if (y[i] > y[high]) high = i;
    }
    for (const k of low < high ? [low, high] : low > high ? [high, low] : [low]) {
      out.x.push(x[k]);
      out.y.push(y[k]);
    }
  }
  return out;
}

/** The lines over one common x, as uPlot wants them: undefined where a line has no point. Each x is in order. */
export function joined(lines) {
  const at = lines.map(() => 0);
  const x = [];
  const columns = lines.map(() => []);
  for (;;) {
    let next = Infinity;
    for (let k = 0; k < lines.length; ++k) if (at[k] < lines[k].x.length && lines[k].x[at[k]] < next) next = lines[k].x[at[k]];
    if (next === Infinity) return [x, ...columns];
    // A line may have several points at once: as many as the one with most of them.
    let more = true;
    while (more) {
      more = false;
      x.push(next);
      for (let k = 0; k < lines.length; ++k) {
        const has = at[k] < lines[k].x.length && lines[k].x[at[k]] === next;
        columns[k].push(has ? lines[k].y[at[k]++] : undefined);
        more = more || (at[k] < lines[k].x.length && lines[k].x[at[k]] === next);
      }
    }
  }
}

const MAX_SAMPLES = 5000;

/**
 * What a tool that looks every `interval` seconds shows: at the phase whose last look before `moment` saw what the
 * recorded incident gives as typical.
 */
export function sampled(series, interval, moment, typical) {
  let phase = interval / 2;
  let error = Infinity;
  // From the middle outwards: of phases that fit alike, the most ordinary one.
  for (let k = 0; k < 1000; ++k) {
    const candidate = (0.5 + (k % 2 ? -1 : 1) * Math.ceil(k / 2) / 1000) * interval;
    const seen = valueAt(series, moment - candidate) ?? series.y[0];
    if (Math.abs(seen - typical) < error) {
      error = Math.abs(seen - typical);
      phase = candidate;
    }
  }
  const first = series.x[0];
  const last = series.x[series.x.length - 1];
  const out = { x: [], y: [] };
  const start = Math.max(first, moment - phase - interval * MAX_SAMPLES / 2);
  const looks = Math.ceil((moment - phase - start) / interval);
  for (let i = 0; i < MAX_SAMPLES; ++i) {
    const time = moment - phase + (i - looks) * interval;
    if (time > last + interval) break;
    const value = valueAt(series, time);
    if (value !== null) {
      out.x.push(time);
      out.y.push(value);
    }
  }
  return out;
}
