// SPDX-License-Identifier: Apache-2.0
// Usage over time: one chart with the truth, the limit, the cgroups around it and what samplers would have drawn, a strip
// with the whole recording, and the controls of both. Mouse, touch and keyboard do the same.
import uPlot from 'uplot';

import { csvOf, tableOf } from './chart_data.js';
import { css, download, el, newId } from './dom.js';
import { before, joined, sampled, thinned, valueAt } from './series.js';
import { touch } from './touch.js';
import { counted, hasOwnLimit, percent, setting, shifted, size, span } from './words.js';

// Usage holds until the next point. Where several points fall on one pixel that cannot be seen, and lines, of which uPlot
// draws each pixel's lowest and highest, cost far less.
const held = uPlot.paths.stepped({ align: 1 });
const straight = uPlot.paths.linear();
const steps = (u, index, from, to, ...rest) => (to - from > 4 * u.bbox.width ? straight : held)(u, index, from, to, ...rest);
const font = '12px system-ui, sans-serif';

/** Lines of the chart: {key, label, x, y, colour, width, dash, points, on, holds}. */
function linesOf({ incident, own, around, moment }) {
  const lines = [{ key: 'usage', label: 'Usage, every step', ...own.series, colour: '--usage', width: 2, fill: true, on: true }];
  const span = [own.series.x[0], own.series.x[own.series.x.length - 1]];
  const constant = (bytes) => ({ x: span, y: [bytes, bytes] });
  if (own.limits.x.length > 0) {
    lines.push({ key: 'limit', label: 'Limit', ...own.limits, colour: '--alarm', width: 1.5, dash: [6, 4], on: true });
  } else if (incident.limit?.bytes != null && hasOwnLimit(incident)) {
    // Where steps tell that there was none until then it is new.
    const limit = own.limits.told ? { x: [moment, Math.max(moment, span[1])], y: [incident.limit.bytes, incident.limit.bytes] } : constant(incident.limit.bytes);
    lines.push({ key: 'limit', label: 'Limit', ...limit, colour: '--alarm', width: 1.5, dash: [6, 4], on: true });
  }
  around.forEach((one, i) => {
    const on = one.path === incident.limit?.cgroup_path;
    lines.push({ key: `around-${i}`, label: `${one.path}, usage`, ...one.series, colour: `--around-${i % 3}`, width: 1.5, on });
    if (one.limits.x.length > 0) {
      lines.push({ key: `around-limit-${i}`, label: `${one.path}, limit`, ...one.limits, colour: `--around-${i % 3}`, width: 1.5, dash: [2, 3], on });
    }
  });
  (incident.samplers ?? []).slice(0, 4).forEach((tool, i) => {
    lines.push({
      key: `sampler-${i}`, label: `${tool.name}, every ${setting(tool.interval_ms)}`, colour: `--sampler-${i % 3}`, width: 1.75,
      dash: [[], [8, 3], [3, 3]][i % 3], points: true, on: i === 0,
      ...sampled(own.series, Math.max(1, tool.interval_ms) / 1000, moment, tool.typical_seen_bytes),
    });
  });
  return lines.filter((line) => line.x.length > 0);
}

/** Makes the chart of one incident. `marks`: {x, label, alarm} instants; `shade`: [from, to]; all in seconds. */
export function usageChart(model) {
  const { incident, own, moment, shade, marks, title } = model;
  const lines = linesOf(model);
  const whole = [own.series.x[0], Math.max(own.series.x[own.series.x.length - 1], moment)];
  if (whole[1] <= whole[0]) whole[1] = whole[0] + 1;
  const home = homeView(shade, moment, whole);
  const view = [...home];
  const ids = { help: newId('help'), said: newId('said') };
  const main = el('div', { class: 'plot', tabindex: 0, role: 'group', 'aria-label': `Chart: ${title}`, 'aria-describedby': ids.help });
  const strip = el('div', { class: 'strip', 'aria-hidden': 'true' });
  const said = el('output', { class: 'readout', id: ids.said, 'aria-live': 'polite' });
  let plot;
  let overview;

  const drawMarks = (u) => {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.font = `${12 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = 'top';
    for (const mark of marks) {
      const at = Math.round(u.valToPos(mark.x, 'x', true));
      if (at < bbox.left - 1 || at > bbox.left + bbox.width + 1) continue;
      ctx.strokeStyle = ctx.fillStyle = css(mark.alarm ? '--alarm' : '--muted');
      ctx.lineWidth = (mark.main ? 2 : 1) * ratio;
      ctx.beginPath();
      ctx.moveTo(at, bbox.top);
      ctx.lineTo(at, bbox.top + bbox.height);
      ctx.stroke();
      if (mark.main) {
        const left = at + ctx.measureText(mark.label).width + 8 * ratio > bbox.left + bbox.width;
        ctx.textAlign = left ? 'right' : 'left';
        const text = at + (left ? -6 : 6) * ratio;
        ctx.lineWidth = 4 * ratio;
        ctx.strokeStyle = css('--paper');
        ctx.strokeText(mark.label, text, bbox.top + 5 * ratio);
        ctx.fillText(mark.label, text, bbox.top + 5 * ratio);
      }
    }
    ctx.restore();
  };
  const drawShade = (u) => {
    if (!shade) return;
    const { ctx, bbox } = u;
    const from = Math.max(bbox.left, u.valToPos(shade[0], 'x', true));
    const to = Math.min(bbox.left + bbox.width, Math.max(from + 2, u.valToPos(shade[1], 'x', true)));
    if (to <= bbox.left || from >= bbox.left + bbox.width) return;
    ctx.save();
    ctx.fillStyle = css('--shade');
    ctx.fillRect(from, bbox.top, to - from, bbox.height);
    ctx.restore();
  };
  const drawView = (u) => {
    const { ctx, bbox } = u;
    const from = Math.max(bbox.left, u.valToPos(view[0], 'x', true));
    const to = Math.min(bbox.left + bbox.width, Math.max(from + 3 * devicePixelRatio, u.valToPos(view[1], 'x', true)));
    ctx.save();
    ctx.fillStyle = css('--veil');
    ctx.fillRect(bbox.left, bbox.top, from - bbox.left, bbox.height);
    ctx.fillRect(to, bbox.top, bbox.left + bbox.width - to, bbox.height);
    ctx.strokeStyle = css('--accent');
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.strokeRect(from, bbox.top, to - from, bbox.height);
    ctx.restore();
  };

  const timeTicks = (u, values, _axis, _space, step) => {
    const unit = step < 1e-3 ? [1e6, 'µs'] : step < 1 && view[1] - view[0] < 2 ? [1e3, 'ms'] : [1, 's'];
    return values.map((x) => {
      const value = Math.round((x - moment) * unit[0] * 1000) / 1000;
      return value === 0 ? '0' : `${value > 0 ? '+' : '−'}${Math.abs(value).toLocaleString('en', { maximumFractionDigits: 3 })} ${unit[1]}`;
    });
  };
  // Whole steps of a binary unit.
  const sizeSplits = (_u, _axis, low, high) => {
    const raw = Math.max(1, (high - low) / 5);
    const power = 2 ** Math.floor(Math.log2(raw));
    const step = raw / power > 1.5 ? power * 2 : power;
    const out = [];
    for (let value = Math.ceil(low / step) * step; value <= high; value += step) out.push(value);
    return out;
  };
  // Ticks at whole times before and after the moment, not of the recording's beginning.
  const timeSplits = (_u, _axis, low, high, step) => {
    const out = [];
    for (let n = Math.ceil((low - moment) / step); moment + n * step <= high; ++n) out.push(moment + n * step);
    return out;
  };
  const axis = () => ({ stroke: () => css('--muted'), grid: { stroke: () => css('--line'), width: 1 }, ticks: { stroke: () => css('--line'), size: 4 }, font });

  function setView(from, to, say = false) {
    const least = Math.max(1e-6, (whole[1] - whole[0]) * 1e-9);
    const width = Math.min(Math.max(to - from, least), (whole[1] - whole[0]) * 1.04);
    const pad = (whole[1] - whole[0]) * 0.02;
    const start = Math.min(Math.max(from, whole[0] - pad), whole[1] + pad - width);
    view[0] = start;
    view[1] = start + width;
    showView();
    plot?.setScale('x', { min: view[0], max: view[1] });
    overview?.redraw(false);
    if (say) said.textContent = `Shown: ${span(width)}, from ${when(view[0])} to ${when(view[1])}`;
  }
  // In words for whoever asks the page: seconds to the moment.
  function showView() {
    main.dataset.from = (view[0] - moment).toFixed(9);
    main.dataset.to = (view[1] - moment).toFixed(9);
  }
  const when = (x) => {
    const off = x - moment;
    return Math.abs(off) < 5e-7 ? 'the moment itself' : `${span(off)} ${off < 0 ? 'before' : 'after'}`;
  };
  const zoom = (factor, centre = (view[0] + view[1]) / 2, say = true) =>
    setView(centre - (centre - view[0]) * factor, centre + (view[1] - centre) * factor, say);
  const pan = (part, say = true) => {
    const width = view[1] - view[0];
    setView(view[0] + width * part, view[1] + width * part, say);
  };

  // From nothing, so that heights can be compared; a small burst on top of much would then not be seen, and is shown by
  // itself. A limit that is near is always in the picture.
  const { burst } = incident;
  let fromZero = !burst || burst.growth_bytes >= burst.peak_bytes * 0.2;
  function heights(low, high) {
    const limit = hasOwnLimit(incident) ? incident.limit?.bytes : null;
    const top = limit && high > limit * 0.4 && fromZero ? Math.max(high, limit) : high;
    if (fromZero || low === null) return [0, Math.max(1, (top || 1) * 1.08)];
    const room = Math.max(4096, (high - low) * 0.12);
    return [Math.max(0, low - room), high + room];
  }

  let cursor = null;
  function sayAt(x) {
    const parts = lines.filter((line) => line.on).map((line) => {
      const value = valueAt(line, x);
      return value === null ? null : `${line.key === 'usage' ? 'usage' : line.label} ${size(value)}`;
    });
    const limit = incident.limit?.bytes;
    const usage = valueAt(own.series, x);
    if (limit > 0 && usage !== null) parts[0] += ` (${percent(usage / limit)})`;
    said.textContent = [`${shifted(incident.time, x - moment)}, ${when(x)}`, ...parts.filter(Boolean)].join(' · ');
  }
  function stepTo(direction) {
    const at = before(own.series.x, cursor ?? moment);
    const next = Math.min(Math.max(at + direction, 0), own.series.x.length - 1);
    cursor = own.series.x[next];
    if (cursor < view[0] || cursor > view[1]) {
      const half = (view[1] - view[0]) / 2;
      setView(cursor - half, cursor + half);
    }
    plot.setCursor({ left: plot.valToPos(cursor, 'x'), top: plot.valToPos(own.series.y[next], 'y') }, false);
    sayAt(cursor);
  }
  main.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      '+': () => zoom(0.5), '=': () => zoom(0.5), '-': () => zoom(2), ArrowLeft: () => (event.shiftKey ? pan(-0.25) : stepTo(-1)),
      ArrowRight: () => (event.shiftKey ? pan(0.25) : stepTo(1)), Home: () => setView(...whole, true), 0: () => setView(...whole, true),
      b: () => setView(...home, true), B: () => setView(...home, true), Escape: () => setView(...home, true),
    }[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });

  function build() {
    const width = Math.max(200, main.clientWidth);
    const data = joined(lines);
    plot = new uPlot({
      width, height: width < 480 ? 260 : 340, legend: { show: false }, padding: [10, 30, 0, 0],
      cursor: { y: false, drag: { x: true, y: false }, points: { show: (u, i) => i === 1 } },
      scales: {
        x: { time: false, range: () => [view[0], view[1]] },
        y: { range: (_u, low, high) => heights(low, high) },
      },
      axes: [{ ...axis(), space: 78, size: 32, splits: timeSplits, values: timeTicks }, { ...axis(), size: 74, splits: sizeSplits, values: (_u, values) => values.map(size) }],
      series: [{}, ...lines.map((line) => ({
        label: line.label, show: line.on, stroke: () => css(line.colour), width: line.width, dash: line.dash, spanGaps: false, paths: line.x.length > 5000 ? steps : held,
        fill: line.fill ? () => css('--usage-fill') : undefined,
        points: { show: Boolean(line.points), size: 7, fill: () => css('--paper'), stroke: () => css(line.colour), width: 2 },
      }))],
      hooks: {
        drawClear: [drawShade], draw: [drawMarks],
        setSelect: [(u) => {
          if (u.select.width > 2) setView(u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x'), true);
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
      },
    }, data, main);
    plot.over.addEventListener('mousemove', (event) => {
      cursor = plot.posToVal(event.offsetX, 'x');
      sayAt(cursor);
    });
    plot.over.addEventListener('dblclick', () => setView(...whole, true));
    plot.over.addEventListener('wheel', (event) => {
      if (!event.ctrlKey && !event.shiftKey) return; // the page scrolls
      event.preventDefault();
      const centre = plot.posToVal(event.offsetX, 'x');
      event.ctrlKey ? zoom(event.deltaY < 0 ? 0.8 : 1.25, centre, false) : pan(Math.sign(event.deltaY || event.deltaX) * 0.1, false);
    }, { passive: false });
    touch(plot.over, () => [...view], (from, to) => setView(from, to));
    buildStrip(width);
    showView();
    sayAt(moment);
    new ResizeObserver(() => {
      const now = Math.max(200, main.clientWidth);
      if (main.clientWidth > 0 && Math.abs(now - plot.width) > 1) {
        plot.setSize({ width: now, height: now < 480 ? 260 : 340 });
        overview.setSize({ width: now, height: 54 });
      }
    }).observe(main);
  }
  function buildStrip(width) {
    const small = thinned(own.series, 1000);
    overview = new uPlot({
      width, height: 54, legend: { show: false }, padding: [2, 30, 2, 74], cursor: { show: true, x: false, y: false, points: { show: false }, drag: { x: true, y: false } },
      scales: { x: { time: false, range: () => whole }, y: { range: (_u, _low, high) => [0, Math.max(1, high * 1.05)] } },
      axes: [{ show: false }, { show: false }],
      series: [{}, { stroke: () => css('--usage'), width: 1, fill: () => css('--usage-fill'), paths: steps, points: { show: false } }],
      hooks: {
        draw: [drawView],
        setSelect: [(u) => {
          if (u.select.width > 2) setView(u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x'), true);
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
      },
    }, [small.x, small.y], strip);
    overview.over.addEventListener('click', (event) => {
      const centre = overview.posToVal(event.offsetX, 'x');
      const half = (view[1] - view[0]) / 2;
      if (centre < view[0] || centre > view[1]) setView(centre - half, centre + half, true);
    });
  }

  const zeroBox = el('input', { type: 'checkbox', onchange: () => {
    fromZero = zeroBox.checked;
    plot.setScale('x', { min: view[0], max: view[1] });
  } });
  zeroBox.checked = fromZero;
  const zero = el('label', { class: 'line' }, zeroBox, el('span', null, 'From zero'));
  const button = (text, label, act) => el('button', { type: 'button', 'aria-label': label, title: label, onclick: act }, text);
  const toggle = (line, i) => {
    const box = el('input', { type: 'checkbox', onchange: () => {
      line.on = box.checked;
      plot.setSeries(i + 1, { show: line.on });
    } });
    box.checked = line.on;
    return el('label', { class: 'line' }, box, swatch(line), el('span', null, line.label));
  };
  const shown = el('figure', { class: 'chart' },
    el('div', { class: 'tools', role: 'toolbar', 'aria-label': 'Part of the time that is shown' },
      button('+', 'Zoom in', () => zoom(0.5)), button('−', 'Zoom out', () => zoom(2)),
      button('◀', 'Earlier', () => pan(-0.5)), button('▶', 'Later', () => pan(0.5)),
      button(shade ? 'Burst' : 'Moment', shade ? 'Show the burst' : 'Show the moment', () => setView(...home, true)),
      button('All', 'Show the whole recording', () => setView(...whole, true)),
      zero),
    main, strip, said,
    el('fieldset', { class: 'lines' }, el('legend', null, 'Lines'), lines.map(toggle)),
    el('figcaption', null,
      el('p', null, captionOf(model)),
      el('p', { class: 'hint', id: ids.help },
        'Drag to zoom, double-click for all. Keys: ← → step by step, Shift with ← → moves, + − zoom, B the burst, Home all. Two fingers zoom.')),
    el('details', null, el('summary', null, 'The chart as a table'), tableOf(model, home),
      el('p', null, el('button', { type: 'button', onclick: () => download('usage.csv', 'text/csv', csvOf(model)) },
        `Save all ${counted(own.series.x.length, 'point', 'points')} as CSV`))));
  return { node: shown, build, redraw: () => { plot?.redraw(); overview?.redraw(); }, view: () => [...view], moment, points: own.series.x.length };
}

function swatch(line) {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  for (const [name, value] of Object.entries({ width: 26, height: 10, 'aria-hidden': 'true', class: `swatch c${line.colour}` })) svg.setAttribute(name, value);
  const path = document.createElementNS(ns, 'path');
  for (const [name, value] of Object.entries({ d: 'M1 5H25', 'stroke-width': 2.5, 'stroke-dasharray': (line.dash ?? []).join(' ') || 'none' })) path.setAttribute(name, value);
  svg.append(path);
  return svg;
}

/** The burst with twice its time before and half after; without one, ten seconds around the moment. */
function homeView(shade, moment, whole) {
  const from = shade ? shade[0] : moment - 8;
  const to = Math.max(shade ? shade[1] : moment + 2, moment);
  const width = Math.max(to - from, 0.002);
  return [Math.max(whole[0] - (whole[1] - whole[0]) * 0.02, from - width), Math.min(whole[1] + (whole[1] - whole[0]) * 0.02, to + width * 0.4)];
}

function captionOf({ own, shade, incident }) {
  const told = own.stride === 1
    ? `Every one of the ${counted(own.series.x.length, 'point', 'points')} that were recorded of this cgroup.`
    : `${counted(own.series.x.length, 'point', 'points')} of ${own.seen.toLocaleString('en')}: of each ${own.stride} the lowest and the highest, so that no peak is lost.`;
  const dark = shade ? ' The burst is shaded.' : '';
  const tools = incident.samplers?.length > 0 ? ' Samplers are drawn at the phase at which their last look before the moment saw what is typical.' : '';
  return `${told} Usage holds its value until the next point.${dark}${tools}`;
}
