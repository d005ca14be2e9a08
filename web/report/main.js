// SPDX-License-Identifier: Apache-2.0
// The report's page: reads the document that it holds, and shows it. Nothing is loaded and nothing is sent.
import { el, table } from './dom.js';
import { body, facts, heading, why } from './incident.js';
import { limitsOf } from './limits.js';
import { decode, before } from './series.js';
import { counted, dated, kindOf, nameOf, span } from './words.js';

const document_ = JSON.parse(document.getElementById('data').textContent);
const { report, charts } = document_;
const page = document.getElementById('page');
const drawn = new Set();
const decoded = new Map();

const seriesOf = (key, packed) => {
  if (!decoded.has(key)) decoded.set(key, decode(packed));
  return decoded.get(key);
};
function trackOf(index, window, key) {
  const track = charts.tracks[index];
  const whole = seriesOf(`track-${index}`, track);
  // Where the whole had to leave points out, the time around the incident has them all.
  const series = window ? spliced(whole, seriesOf(key, window)) : whole;
  return { path: track.path || 'cgroup', series, limits: limitsOf(track.limits, whole), stride: track.stride, seen: track.seen };
}
function spliced(whole, part) {
  if (!part.x.length) return whole;
  const from = before(whole.x, part.x[0] - 1e-12);
  const to = before(whole.x, part.x[part.x.length - 1]) + 1;
  const both = (name) => {
    const out = new Float64Array(from + 1 + part[name].length + whole[name].length - to);
    out.set(whole[name].subarray(0, from + 1));
    out.set(part[name], from + 1);
    out.set(whole[name].subarray(to), from + 1 + part[name].length);
    return out;
  };
  return { x: both('x'), y: both('y') };
}

function modelOf(one, index) {
  const chart = charts.incidents[index];
  if (!chart || chart.track === null || !charts.tracks[chart.track].count) return null;
  const x = (incident) => (incident.boot_time_ns - charts.origin_boot_time_ns) / 1e9;
  const moment = x(one.incident);
  const own = trackOf(chart.track, chart.window, `window-${index}`);
  const { burst } = one.incident;
  const start = burst ? moment - (Date.parse(one.incident.time) - Date.parse(burst.start)) / 1000 : null;
  // To the nanosecond, as far as the two times tell it.
  const exact = burst ? moment - (fraction(one.incident.time) - fraction(burst.start) + seconds(one.incident.time) - seconds(burst.start)) : start;
  const marks = report.incidents.map((other, i) => ({ other, i }))
    .filter(({ other, i }) => other.incident && charts.incidents[i]?.track === chart.track)
    .map(({ other, i }) => ({ x: x(other.incident), label: kindOf(other.incident), alarm: other.incident.kind === 'oom', main: i === index && other.incident.kind !== 'burst' }));
  return { own, around: chart.ancestors.map((track) => trackOf(track)).filter((track) => track.series.x.length > 1), moment,
    shade: burst ? [exact, exact + burst.duration_ms / 1000] : null, marks };
}
const fraction = (time) => Number(`0.${/\.(\d+)/.exec(time)?.[1] ?? '0'}`);
const seconds = (time) => Date.parse(time.replace(/\.\d+/, '')) / 1000;

function themes() {
  const names = [['auto', 'As the system'], ['light', 'Light'], ['dark', 'Dark']];
  const select = el('select', { id: 'theme', onchange: () => {
    if (select.value === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = select.value;
    redraw();
  } }, names.map(([value, text]) => el('option', { value }, text)));
  return el('p', { class: 'theme' }, el('label', { for: 'theme' }, 'Colours'), ' ', select);
}
const redraw = () => drawn.forEach((one) => one.redraw());

function recording() {
  const r = report.recording;
  const rows = [
    ['host', `${r.host.name ?? 'unknown'} · kernel ${r.host.kernel ?? 'unknown'}`],
    ['recorded', r.from ? `${dated(r.from)} to ${dated(r.to)} (${span(r.duration_ms / 1000)}) · ${counted(r.steps, 'step', 'steps')} · ${counted(r.events, 'other event', 'other events')}` : 'no time is known'],
    ...r.notes.map((note) => ['', note]),
    ['evidence', [el('strong', { class: r.gaps.length ? 'notice' : null }, r.gaps.length ? 'not complete' : 'complete'), ` · charges ${r.charge_tier ?? 'unknown'} · oom ${r.oom_tier ?? 'unknown'} · lost: ${r.lost_words}`,
      r.gaps.length ? el('ul', null, r.gaps.map((gap) => el('li', null, gap))) : null]],
    ['incidents', [report.count_words, report.left_out_words ? el('p', { class: 'notice' }, report.left_out_words) : null]],
  ];
  return el('dl', { class: 'facts' }, rows.map(([label, value]) => el('div', null, el('dt', null, label), el('dd', null, value))));
}

function list() {
  if (report.incidents.length < 2) return null;
  return el('nav', { 'aria-label': 'Incidents' }, table('Incidents of this recording', [
    { head: 'Where', wide: true, cell: ({ one, i }) => el('a', { href: `#incident-${i}` }, one.incident ? nameOf(one.incident) : one.id) },
    { head: 'What', cell: ({ one }) => (one.incident ? el('span', { class: one.incident.kind === 'oom' ? 'alarm' : null }, kindOf(one.incident)) : 'unreadable') },
    { head: 'Time (UTC)', number: true, cell: ({ one }) => (one.incident ? dated(one.incident.time).slice(0, 23) : '–') },
  ], report.incidents.map((one, i) => ({ one, i }))));
}

function article(one, index) {
  if (!one.incident) {
    return el('article', { 'aria-labelledby': `incident-${index}` }, el('h2', { id: `incident-${index}` }, one.id), el('p', { class: 'notice' }, `This incident cannot be read: ${one.unreadable}`));
  }
  const rest = el('div', { class: 'rest' });
  const node = el('article', { 'aria-labelledby': `incident-${index}` }, heading(one, index), why(one.incident), facts(one.incident), rest);
  node.fill = () => {
    node.fill = () => {};
    const { nodes, later } = body(one, modelOf(one, index));
    rest.append(...nodes);
    for (const part of later) {
      part.build();
      drawn.add(part);
    }
    node.parts = later;
  };
  return node;
}

const articles = report.incidents.map(article);
page.append(
  el('a', { class: 'skip', href: '#main' }, 'Skip to the incidents'),
  el('header', { class: 'top' }, el('div', null, el('p', { class: 'brand' }, 'memcrest report'), el('h1', null, report.recording.file)), themes()),
  el('main', { id: 'main' }, el('section', { 'aria-label': 'The recording', class: 'recording' }, recording(), list()), articles),
  el('footer', null, el('p', null, `Made by memcrest ${report.memcrest_version} from a recording of memcrest ${report.recording.memcrest_version ?? 'unknown'}. This page is whole: it loads nothing and sends nothing.`)),
);
document.title = `${report.recording.file} · memcrest report`;

// The first at once, the others when they come near: a hundred charts need not all be drawn.
articles[0]?.fill?.();
const near = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
  near.unobserve(entry.target);
  entry.target.fill();
}), { rootMargin: '600px' });
articles.slice(1).filter((one) => one.fill).forEach((one) => near.observe(one));
const target = () => articles[Number(/^#incident-(\d+)$/.exec(location.hash)?.[1])]?.fill?.();
addEventListener('hashchange', target);
target();
addEventListener('beforeprint', () => articles.slice(0, 50).forEach((one) => one.fill?.()));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
matchMedia('print').addEventListener('change', redraw);
document.documentElement.dataset.ready = String(Math.round(performance.now()));
