// SPDX-License-Identifier: Apache-2.0
// One container's usage as it goes on: every step that the agent remembers, then what the stream says.
import uPlot from 'uplot';

import { css, el } from '../report/dom.js';
import { size } from '../report/words.js';

const SHOWN = 120; // seconds
const MOST = 20_000;

// Whole steps of a binary unit.
function sizeSplits(_u, _axis, low, high) {
  const raw = Math.max(1, (high - low) / 5);
  const power = 2 ** Math.floor(Math.log2(raw));
  const step = raw / power > 1.5 ? power * 2 : power;
  const out = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) out.push(value);
  return out;
}

/** `points`: flat [boot ns, usage, highest before]; a burst between two of them is a point of its own. */
export function curve(points, limit, boot, label) {
  const x = [];
  const y = [];
  const add = (time, usage, high) => {
    const at = Math.max(time, x[x.length - 1] ?? -Infinity);
    if (high > usage) {
      x.push(at);
      y.push(high);
    }
    x.push(at);
    y.push(usage);
    if (x.length > MOST) {
      x.splice(0, MOST / 10);
      y.splice(0, MOST / 10);
    }
  };
  for (let i = 0; i + 2 < points.length; i += 3) add(points[i] / 1e9, points[i + 1], points[i + 2]);
  let now = boot / 1e9;
  let marks = [];
  const node = el('div', { class: 'plot', role: 'img', 'aria-label': label });
  const said = el('output', { class: 'readout' });
  let plot;
  const axis = () => ({ stroke: () => css('--muted'), grid: { stroke: () => css('--line'), width: 1 }, ticks: { stroke: () => css('--line'), size: 4 }, font: '12px system-ui, sans-serif' });
  const data = () => {
    const xs = x.length ? [...x, now] : [now - 1, now];
    const ys = x.length ? [...y, y[y.length - 1]] : [null, null];
    return [xs, ys, xs.map(() => (limit === null ? null : limit))];
  };
  const scale = () => ({ min: now - SHOWN, max: now });
  const seen = () => {
    let most = 1;
    for (let i = x.length - 1; i >= 0 && x[i] >= now - SHOWN; --i) most = Math.max(most, y[i]);
    return most;
  };
  function drawMarks(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.setLineDash([]);
    for (const mark of marks) {
      if (mark.time < now - SHOWN) continue;
      const at = Math.round(u.valToPos(mark.time, 'x', true));
      ctx.strokeStyle = css(mark.alarm ? '--alarm' : '--notice');
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(at, bbox.top);
      ctx.lineTo(at, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }
  function build() {
    plot = new uPlot({
      width: Math.max(260, node.clientWidth), height: 280, legend: { show: false }, cursor: { drag: { x: false, y: false } },
      scales: { x: { time: false, range: () => [now - SHOWN, now] }, y: { range: () => [0, (limit !== null && limit / 4 <= seen() ? Math.max(limit, seen()) : seen()) * 1.05] } },
      axes: [{ ...axis(), size: 32, values: (_u, ticks) => ticks.map((tick) => (Math.abs(now - tick) < 0.5 ? 'now' : `−${Math.round(now - tick)} s`)) },
        { ...axis(), size: 76, splits: sizeSplits, values: (_u, ticks) => ticks.map((tick) => size(Math.round(tick))) }],
      series: [{}, { stroke: () => css('--usage'), width: 2, fill: () => css('--usage-fill'), paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
        { stroke: () => css('--alarm'), width: 1.5, dash: [6, 4], points: { show: false } }],
      hooks: { draw: [drawMarks], setCursor: [(u) => {
        const at = u.cursor.idx;
        said.textContent = at === null || at === undefined || u.data[1][at] === null ? '' : `${size(u.data[1][at])}, ${(now - u.data[0][at]).toFixed(1)} s ago`;
      }] },
    }, data(), node);
    new ResizeObserver(() => plot.setSize({ width: Math.max(260, node.clientWidth), height: 280 })).observe(node);
  }
  return {
    node: el('figure', { class: 'chart' }, node, said),
    build,
    add: (time, usage, peak) => {
      now = Math.max(now, time / 1e9);
      add(time / 1e9, usage, peak);
    },
    mark: (list) => { marks = list; },
    tick: (time) => {
      now = Math.max(now, time / 1e9);
      plot?.setData(data(), false);
      plot?.setScale('x', scale());
    },
    redraw: () => plot?.redraw(),
    size: () => x.length,
  };
}
