// SPDX-License-Identifier: Apache-2.0
// The list of containers. Only the rows in sight are in the document: a thousand that move cost as much as forty.
import { el } from '../report/dom.js';
import { counted, percent, size, span } from '../report/words.js';
import { hrefOf, note, place } from './place.js';
import { orders, rows, share, sorted } from './rows.js';

const HEIGHT = 37; // of a row, as the style says
const SPARE = 8;   // rows beyond what is in sight
const NEARLY_FULL = 0.9;

const rate = (value) => (Math.abs(value) < 1 ? '' : `${value < 0 ? '−' : '+'}${size(Math.abs(Math.round(value)))}/s`);
const COLUMNS = [
  ['Name', 'name', null, 'name'], ['Use', 'use', (row) => size(row.usage)], ['Peak', 'peak', (row) => size(row.peak)], ['Max', 'max', (row) => size(row.most)],
  ['Limit', null, (row) => (row.limit === null ? 'none' : size(row.limit))], ['Effective', 'limit', (row) => (row.effective === null ? 'none' : size(row.effective))],
  ['%', 'percent', (row) => (row.effective ? percent(row.usage / row.effective) : '')], ['Use and peak', null, null, 'share'], ['Last minute', null, null, 'minute'],
  ['Growth', 'growth', (row) => rate(row.growth)], ['OOM', 'oom', (row) => String(row.ooms)], ['Stall', 'stall', (row) => (row.stall >= 0.5 ? span(row.stall / 1000) : '')],
  ['Kind', null, (row) => row.kind, 'kind'], ['Of', null, (row) => row.group, 'group'],
];

const SVG = 'http://www.w3.org/2000/svg';
function svg(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function minutePath(row) {
  const highest = Math.max(1, ...row.history);
  const top = row.effective && row.effective / 16 <= highest ? Math.max(row.effective, highest) : highest;
  const from = 60 - row.history.length;
  return row.history.map((value, i) => `${i === 0 ? 'M' : 'L'}${(from + i) * 2} ${(20 - (value / top) * 19).toFixed(1)}h2`).join('');
}

function makeRow() {
  const cells = COLUMNS.map(([, , text, name]) => el(name === 'name' ? 'th' : 'td', { scope: name === 'name' ? 'row' : null, class: name ?? 'n', 'aria-hidden': name === 'share' ? 'true' : null }));
  const link = el('a', { 'data-place': '' });
  cells[0].append(link);
  const used = el('span', { class: 'used' });
  const peak = el('span', { class: 'peaked' });
  cells[7].append(el('span', { class: 'gauge' }, peak, used));
  const line = svg('path', { class: 'minuteline' });
  const picture = svg('svg', { viewBox: '0 0 120 21', width: 120, height: 21, role: 'img' });
  picture.append(line);
  cells[8].append(picture);
  return { node: el('tr', null, cells), cells, link, used, peak, line, picture, id: null, version: -1 };
}

function fill(slot, row, index) {
  if (slot.id === row.id && slot.version === row.version && slot.index === index) return;
  const part = share(row);
  if (slot.id !== row.id) {
    slot.link.textContent = row.name;
    slot.link.href = hrefOf({ container: String(row.id) });
    slot.link.title = row.name;
    slot.node.dataset.id = row.id;
  }
  Object.assign(slot, { id: row.id, version: row.version, index });
  slot.node.setAttribute('aria-rowindex', String(index + 2));
  slot.node.className = `${row.gone ? 'gone ' : ''}${part !== null && part >= NEARLY_FULL ? 'full ' : ''}${row.ooms > 0 ? 'killed' : ''}`.trim();
  slot.node.dataset.usage = row.usage;
  slot.node.dataset.peak = row.peak;
  COLUMNS.forEach(([, , text], i) => {
    if (!text) return;
    const now = text(row);
    if (slot.cells[i].textContent !== now) slot.cells[i].textContent = now;
  });
  slot.used.style.width = `${Math.min(100, row.effective ? (row.usage / row.effective) * 100 : 0)}%`;
  slot.peak.style.width = `${Math.min(100, (part ?? 0) * 100)}%`;
  slot.peak.hidden = !part;
  slot.line.setAttribute('d', minutePath(row));
  slot.picture.setAttribute('aria-label', `the last minute: at most ${size(Math.max(0, ...row.history))}`);
}

export function overview() {
  const at = place();
  const order = orders.includes(at.sort) ? at.sort : 'percent';
  let list = [];
  let text = at.q;
  let mark = -1;
  const slots = [];
  const body = el('tbody');
  const above = el('div', { 'aria-hidden': 'true' });
  const below = el('div', { 'aria-hidden': 'true' });
  const said = el('output', { class: 'more', 'aria-live': 'polite' });
  const search = el('input', { type: 'search', id: 'search', value: text, placeholder: 'name, pod, image, cgroup', autocomplete: 'off', spellcheck: 'false', oninput: () => {
    text = search.value;
    note({ ...place(), q: text });
    sort();
  } });
  const head = el('tr', { 'aria-rowindex': '1' }, COLUMNS.map(([title, by, , name]) => el('th', { scope: 'col', class: name === 'name' || name === 'kind' || name === 'group' ? name : name ?? 'n', 'aria-sort': by === order ? (order === 'name' ? 'ascending' : 'descending') : null },
    by ? el('a', { href: hrefOf({ ...place(), sort: by }), 'data-place': '' }, title, by === order ? (order === 'name' ? ' ▲' : ' ▼') : '') : title)));
  const grid = el('table', { class: 'containers' }, el('caption', null, 'Containers'), el('thead', null, head), body);
  const frame = el('div', { class: 'frame', tabindex: 0, role: 'region', 'aria-label': 'Containers' }, above, grid, below);

  function show() {
    const top = Math.max(0, Math.min(list.length - 1, Math.floor(frame.scrollTop / HEIGHT) - SPARE));
    const count = Math.min(list.length - top, Math.ceil((frame.clientHeight || 600) / HEIGHT) + 2 * SPARE);
    while (slots.length < count) slots.push(makeRow());
    const wanted = slots.slice(0, Math.max(0, count));
    if (body.childElementCount !== wanted.length) body.replaceChildren(...wanted.map((slot) => slot.node));
    wanted.forEach((slot, i) => {
      fill(slot, list[top + i], top + i);
      slot.node.classList.toggle('marked', top + i === mark);
    });
    above.style.height = `${top * HEIGHT}px`;
    below.style.height = `${Math.max(0, list.length - top - count) * HEIGHT}px`;
  }
  function sort() {
    list = sorted(text, order);
    grid.setAttribute('aria-rowcount', String(list.length + 1));
    const words = list.length === rows.size ? counted(list.length, 'container', 'containers') : `${list.length} of ${counted(rows.size, 'container', 'containers')}`;
    if (said.textContent !== words) said.textContent = words;
    show();
  }
  frame.addEventListener('scroll', show, { passive: true });
  function move(by) {
    mark = Math.max(0, Math.min(list.length - 1, mark + by));
    const from = mark * HEIGHT;
    if (from < frame.scrollTop) frame.scrollTop = from;
    else if (from + 3 * HEIGHT > frame.scrollTop + frame.clientHeight) frame.scrollTop = from + 3 * HEIGHT - frame.clientHeight;
    show();
    slots.find((slot) => slot.node.classList.contains('marked'))?.link.focus({ preventScroll: true });
  }
  // The order is kept for a second, so that what a person reaches for stays there.
  let sortedAt = 0;
  return {
    title: 'Containers',
    node: el('section', { class: 'list', 'aria-label': 'Containers' }, el('p', { class: 'finder' }, el('label', { for: 'search' }, 'Search '), search, ' ', said), frame),
    ready: sort,
    update: () => {
      const now = performance.now();
      if (now - sortedAt > 950) {
        sortedAt = now;
        sort();
      } else show();
    },
    keys: { j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), '/': () => search.focus() },
    leave: () => {},
  };
}
