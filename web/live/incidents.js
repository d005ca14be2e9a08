// SPDX-License-Identifier: Apache-2.0
// The list of incidents, and one with its story: the words, order and colours of the report.
import { el, table } from '../report/dom.js';
import { facts } from '../report/facts.js';
import { flame } from '../report/flame.js';
import { composition, grown, why } from '../report/verdict.js';
import { dated, kindOf, nameOf, size, span } from '../report/words.js';
import { blob, json } from './api.js';
import { go, hrefOf, note, place } from './place.js';
import { treeOf } from './stacks.js';

const gist = ({ burst, victims }) => [victims?.length ? `killed ${victims[0].comm}[${victims[0].pid}]${victims.length > 1 ? ` and ${victims.length - 1} more` : ''}` : '',
  burst ? `${size(burst.base_bytes)} → ${size(burst.peak_bytes)} in ${span(burst.duration_ms / 1000)}` : ''].filter(Boolean).join(' · ');

export const incidentTable = (caption, list) => table(caption, [
  { head: 'Where', wide: true, cell: (one) => el('a', { href: hrefOf({ incident: one.id }), 'data-place': '' }, nameOf(one)) },
  { head: 'What', cell: (one) => el('span', { class: one.kind === 'burst' ? 'notice' : 'alarm' }, kindOf(one)) },
  { head: 'Time (UTC)', number: true, cell: (one) => dated(one.time).slice(0, 23) },
  { head: 'In short', wide: true, cell: gist },
], list);

// By the page itself, since a link carries no token.
function save(text, path, name) {
  const said = el('output', { class: 'more', 'aria-live': 'polite' });
  const button = el('button', { type: 'button', onclick: async () => {
    said.textContent = '';
    try {
      const url = URL.createObjectURL(await blob(path));
      el('a', { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    } catch (error) {
      said.textContent = error.status === 404 ? 'No recording holds this incident' : String(error.message);
    }
  } }, text);
  return [button, ' ', said, ' '];
}

export const downloads = (id) => {
  const path = `api/v1/incidents/${encodeURIComponent(id)}`;
  const name = id.replace(/[^\w.-]/g, '_');
  return el('p', { class: 'tools' }, save('Perfetto trace', `${path}?format=perfetto`, `${name}.pftrace`), save('Markdown', `${path}?format=markdown`, `${name}.md`),
    save('Report', `${path}?format=html`, `${name}.html`), save('JSON', path, `${name}.json`));
};

export function story(incident) {
  const tree = treeOf([incident]);
  const picture = tree ? flame(tree, 'The burst by stack') : null;
  return {
    node: el('article', { 'aria-label': `${kindOf(incident)}, ${nameOf(incident)}` },
      el('header', null, el('p', { class: 'kindline' }, el('span', { class: incident.kind === 'burst' ? 'badge' : 'badge alarm' }, kindOf(incident)), ` · ${dated(incident.time)}`), el('h2', null, nameOf(incident)),
        el('p', { class: 'tags' }, [incident.container.runtime, incident.container.id?.slice(0, 12), incident.container.image].filter(Boolean).map((one) => el('span', null, one)))),
      downloads(incident.id), why(incident), facts(incident), composition(incident), grown(incident),
      picture ? el('section', null, el('h3', null, 'Where in programs'), picture.node) : null),
    build: () => picture?.build(),
    redraw: () => picture?.redraw(),
  };
}

export function incidentPage(id) {
  const node = el('section', { 'aria-label': 'Incident' }, el('p', null, 'Asking the agent …'));
  let shown = null;
  return {
    title: 'Incident', node, keys: { Escape: () => go({ view: 'incidents' }) }, update: () => {}, leave: () => {}, redraw: () => shown?.redraw(),
    ready: async () => {
      try {
        const incident = await json(`api/v1/incidents/${encodeURIComponent(id)}`);
        shown = story(incident);
        node.replaceChildren(el('p', null, el('a', { href: hrefOf({ view: 'incidents' }), 'data-place': '' }, 'All incidents'), ' · ',
          el('a', { href: hrefOf({ container: String(incident.cgroup.id) }), 'data-place': '' }, 'The container')), shown.node);
        shown.build();
      } catch (error) {
        node.replaceChildren(el('p', { class: 'notice' }, error.status === 404 ? 'The agent does not have this incident any more.' : `The agent could not be asked: ${error.message}`));
      }
    },
  };
}

export function incidentsPage() {
  const at = place();
  const box = el('div');
  const said = el('output', { class: 'more', 'aria-live': 'polite' });
  let list = [];
  const search = el('input', { type: 'search', id: 'search', value: at.q, placeholder: 'name, process, kind', autocomplete: 'off', oninput: () => {
    note({ ...place(), q: search.value });
    show();
  } });
  function show() {
    const text = search.value.toLowerCase();
    const wanted = list.filter((one) => !text || [nameOf(one), kindOf(one), gist(one), one.cgroup.path ?? ''].some((part) => part.toLowerCase().includes(text)));
    said.textContent = wanted.length === list.length ? `${list.length} incidents` : `${wanted.length} of ${list.length} incidents`;
    box.replaceChildren(wanted.length ? incidentTable('Incidents, newest first', wanted) : el('p', { class: 'more' }, list.length ? 'None matches.' : 'No incident yet.'));
  }
  return {
    title: 'Incidents', keys: { '/': () => search.focus(), Escape: () => go({}) }, leave: () => {}, update: () => {},
    node: el('section', { class: 'recording', 'aria-label': 'Incidents' }, el('p', { class: 'finder' }, el('label', { for: 'search' }, 'Search '), search, ' ', said), box),
    ready: async () => {
      try {
        list = (await json('api/v1/incidents?limit=200')).incidents;
        show();
      } catch (error) {
        box.replaceChildren(el('p', { class: 'notice' }, `The agent could not be asked: ${error.message}`));
      }
    },
    incident: (one) => {
      list = [one, ...list.filter((other) => other.id !== one.id)];
      show();
    },
  };
}
