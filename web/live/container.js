// SPDX-License-Identifier: Apache-2.0
// One container: what it uses now, its curve, who grew it, and its incidents.
import { el, table } from '../report/dom.js';
import { flame } from '../report/flame.js';
import { dated, kindOf, memoryKind, percent, process, size, span } from '../report/words.js';
import { json } from './api.js';
import { curve } from './curve.js';
import { downloads, incidentTable } from './incidents.js';
import { go, hrefOf } from './place.js';
import { rows } from './rows.js';
import { treeOf } from './stacks.js';

const fact = (label, value) => el('div', null, el('dt', null, label), el('dd', null, value));

function figures(row) {
  const part = (bytes) => (row.effective ? ` (${percent(bytes / row.effective)})` : '');
  return el('dl', { class: 'facts' },
    fact('in use', el('strong', null, `${size(row.usage)}${part(row.usage)}`)),
    fact('peak', `${size(row.peak)}${part(row.peak)} since the last look · ${size(row.most)} since it began`),
    fact('limit', `${row.limit === null ? 'none of its own' : size(row.limit)}${row.effective !== null && row.setBy !== row.path ? ` · effective ${size(row.effective)}, set by ${row.setBy}` : ''}`),
    fact('growth', `${row.growth < 0 ? '−' : '+'}${size(Math.abs(Math.round(row.growth)))}/s over ten seconds${row.stall >= 0.5 ? ` · ${span(row.stall / 1000)} stalled in reclaim in the last minute` : ''}`),
    fact('killed', `${row.ooms} ${row.ooms === 1 ? 'process' : 'processes'} for memory`), row.kind ? fact('kind', `mostly ${row.kind}`) : null);
}

export function containerPage(text) {
  const id = Number(text);
  const node = el('section', { 'aria-label': 'Container' }, el('p', null, 'Asking the agent …'));
  const now = el('div');
  let graph = null;
  let picture = null;
  let known = null;
  let incidents = [];
  const list = el('div');
  const marksOf = () => incidents.map((one) => ({ time: one.boot_time_ns / 1e9, alarm: one.kind !== 'burst' }));
  function showIncidents() {
    graph?.mark(marksOf());
    const bursts = incidents.filter((one) => one.burst);
    list.replaceChildren(incidents.length ? incidentTable('Incidents of this container, newest first', incidents) : el('p', { class: 'more' }, 'No incident of this container yet.'),
      bursts.length ? table('Its bursts', [{ head: 'Time (UTC)', cell: (one) => dated(one.burst.start) }, { head: 'From', number: true, cell: (one) => size(one.burst.base_bytes) },
        { head: 'To', number: true, cell: (one) => size(one.burst.peak_bytes) }, { head: 'Within', number: true, cell: (one) => span(one.burst.duration_ms / 1000) }, { head: 'Ended', cell: (one) => kindOf(one) === 'Burst' ? one.burst.end : kindOf(one) }], bursts) : null,
      incidents.length ? downloads(incidents[0].id) : null);
  }
  function update(ticks) {
    const row = rows.get(id);
    if (row) {
      known = row;
      now.replaceChildren(figures(row));
    } else if (known && !known.gone) {
      known.gone = true;
      node.prepend(el('p', { class: 'alarm', role: 'status' }, 'This container is gone. What was known of it stays.'));
    }
    if (!graph || !ticks.length) return;
    for (const tick of ticks) {
      const changed = tick.rows.find((one) => one[0] === id);
      if (changed) graph.add(tick.boot_time_ns, changed[1], changed[2]);
    }
    graph.tick(ticks.at(-1).boot_time_ns);
  }
  return {
    title: 'Container', node, update, leave: () => {}, keys: { Escape: () => go({}) },
    redraw: () => {
      graph?.redraw();
      picture?.redraw();
    },
    ready: async () => {
      let detail;
      try {
        detail = await json(`api/v1/usage/${id}`);
      } catch (error) {
        node.replaceChildren(el('p', { class: 'notice' }, error.status === 404 ? 'There is no such container, or it is gone for longer than a minute.' : `The agent could not be asked: ${error.message}`),
          el('p', null, el('a', { href: hrefOf({}), 'data-place': '' }, 'All containers')));
        return;
      }
      incidents = detail.incidents;
      const { container, cgroup } = detail;
      const limit = detail.effective_limit?.bytes ?? null;
      const newest = detail.points[detail.points.length - 3] ?? 0;
      graph = curve(detail.points, limit, newest, `Usage of ${container.name ?? cgroup.path} over the last two minutes`);
      const tree = treeOf(incidents);
      picture = tree ? flame(tree, 'Growth by stack, of the incidents below') : null;
      node.replaceChildren(el('p', null, el('a', { href: hrefOf({}), 'data-place': '' }, 'All containers')),
        el('article', { 'aria-label': container.name ?? cgroup.path },
          el('header', null, el('h2', null, container.name ?? cgroup.path), el('p', { class: 'tags' }, [container.runtime, container.id?.slice(0, 12), container.image, container.pod?.name].filter(Boolean).map((one) => el('span', null, one)))),
          now, el('section', null, el('h3', null, 'Usage, every step'), graph.node),
          detail.growers.length ? el('section', null, table('Who grew it since the agent began', [{ head: 'Process', cell: (one) => process(one.comm, one.pid) }, { head: 'Growth', number: true, cell: (one) => size(one.bytes) }, { head: 'Share', number: true, cell: (one) => percent(one.share) }], detail.growers),
            detail.kinds.length ? table('By kind of memory', [{ head: 'Kind', cell: (one) => memoryKind(one.kind) }, { head: 'Growth', number: true, cell: (one) => size(one.bytes) }, { head: 'Share', number: true, cell: (one) => percent(one.share) }], detail.kinds) : null) : null,
          picture ? el('section', null, el('h3', null, 'Where in programs'), picture.node) : null,
          el('section', null, el('h3', null, 'Incidents'), list)));
      showIncidents();
      graph.build();
      picture?.build();
      update([]);
    },
    incident: (one) => {
      if (one.cgroup.id !== id) return;
      incidents = [one, ...incidents.filter((other) => other.id !== one.id)];
      showIncidents();
    },
  };
}
