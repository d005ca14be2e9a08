// SPDX-License-Identifier: Apache-2.0
// What a chart shows, for who cannot see it or wants to go on with it: a table and a file.
import { el } from './dom.js';
import { before } from './series.js';
import { percent, shifted, size, span } from './words.js';

/** Up to some forty points of what the chart shows first. */
export function tableOf({ own, incident, moment }, home) {
  const limit = incident.limit?.bytes;
  const first = Math.max(0, before(own.series.x, home[0]));
  const last = Math.max(first, before(own.series.x, home[1]));
  const every = Math.max(1, Math.ceil((last - first + 1) / 40));
  const rows = [];
  for (let i = first; i <= last; i += every) rows.push(i);
  if (rows[rows.length - 1] !== last) rows.push(last);
  return el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Usage around the moment' },
    el('table', null, el('caption', null, every === 1 ? 'Usage around the moment, every point' : `Usage around the moment, each ${every}th point`),
      el('thead', null, el('tr', null, ['Time (UTC)', 'To the moment', 'Usage', 'Of the limit'].map((head) => el('th', { scope: 'col', class: 'n' }, head)))),
      el('tbody', null, rows.map((i) => el('tr', null, el('th', { scope: 'row', class: 'n' }, shifted(incident.time, own.series.x[i] - moment)),
        el('td', { class: 'n' }, `${own.series.x[i] < moment ? '−' : '+'}${span(own.series.x[i] - moment)}`),
        el('td', { class: 'n' }, size(own.series.y[i])), el('td', { class: 'n' }, limit > 0 ? percent(own.series.y[i] / limit) : '–'))))));
}

/** Every point. */
export function csvOf({ own }) {
  const lines = ['seconds_since_recording_began,usage_bytes'];
  for (let i = 0; i < own.series.x.length; ++i) lines.push(`${own.series.x[i].toFixed(9)},${own.series.y[i]}`);
  return `${lines.join('\n')}\n`;
}
