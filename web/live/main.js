// SPDX-License-Identifier: Apache-2.0
// The live page: connects, keeps rows fresh, shows the place that the address names.
import { el } from '../report/dom.js';
import { kindOf, nameOf } from '../report/words.js';
import { setToken, stream, usage } from './api.js';
import { containerPage } from './container.js';
import { incidentPage, incidentsPage } from './incidents.js';
import { overview } from './overview.js';
import { followLinks, go, hrefOf, onPlace, place } from './place.js';
import { change, take } from './rows.js';

const page = document.getElementById('page');
const state = el('output', { class: 'state', 'aria-live': 'polite' }, 'connecting');
const last = el('p', { class: 'last', 'aria-live': 'polite' });
const main = el('main', { id: 'main', tabindex: -1 });
const nav = el('nav', { 'aria-label': 'Pages' });
let shown = null;

function themes() {
  const names = [['auto', 'As the system'], ['light', 'Light'], ['dark', 'Dark']];
  const select = el('select', { id: 'theme', onchange: () => {
    if (select.value === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = select.value;
    shown?.redraw?.();
  } }, names.map(([value, text]) => el('option', { value }, text)));
  return el('p', { class: 'theme' }, el('label', { for: 'theme' }, 'Colours'), ' ', select);
}

function help() {
  const rows = [['/', 'search'], ['j k', 'the next and the one before'], ['Enter', 'open'], ['Esc', 'back to the list'], ['c', 'containers'], ['i', 'incidents'], ['?', 'this help']];
  const box = el('dialog', { 'aria-label': 'Keys' }, el('h2', null, 'Keys'), el('dl', { class: 'facts' }, rows.map(([key, text]) => el('div', null, el('dt', null, key), el('dd', null, text)))),
    el('form', { method: 'dialog' }, el('button', { value: 'close', onclick: (event) => { event.preventDefault(); box.close(); } }, 'Close')));
  box.addEventListener('close', () => box.remove());
  page.append(box);
  box.showModal();
}

function askToken() {
  if (document.getElementById('token')) return; // somebody is typing
  const input = el('input', { type: 'password', id: 'token', autocomplete: 'off' });
  main.replaceChildren(el('section', { class: 'recording' }, el('p', null, 'This agent asks for its bearer token.'),
    el('p', null, el('label', { for: 'token' }, 'Token '), input, ' ', el('button', { type: 'button', onclick: () => {
      setToken(input.value);
      location.reload();
    } }, 'Use it'))));
}

function show() {
  const at = place();
  shown?.leave();
  shown = at.view === 'container' ? containerPage(at.container) : at.view === 'incident' ? incidentPage(at.incident) : at.view === 'incidents' ? incidentsPage() : overview();
  document.title = `${shown.title} · memcrest`;
  const link = (view, text) => el('a', { href: hrefOf({ view }), 'data-place': '', 'aria-current': at.view === view ? 'page' : null }, text);
  nav.replaceChildren(link('containers', 'Containers'), link('incidents', 'Incidents'));
  main.replaceChildren(shown.node);
  document.documentElement.dataset.view = at.view;
  shown.ready();
}

let listing = null;
let again = false; // the list that is on its way may lack what came since
function list() {
  again = listing !== null;
  listing ??= usage().then(({ head, rows }) => {
    take(head, rows);
    shown?.update([]);
    document.documentElement.dataset.ready ??= String(Math.round(performance.now()));
  }).catch((error) => {
    if (error.status === 401) askToken();
  }).finally(() => {
    listing = null;
    if (again) list();
  });
  return listing;
}

function told(incident) {
  last.replaceChildren(el('a', { href: hrefOf({ incident: incident.id }), 'data-place': '', class: incident.kind === 'burst' ? 'notice' : 'alarm' }, `${kindOf(incident)} · ${nameOf(incident)}`), ` ${incident.time.slice(11, 19)} UTC`);
  shown?.incident?.(incident);
}

page.append(el('a', { class: 'skip', href: '#main' }, 'Skip to the content'),
  el('header', { class: 'top' }, el('div', null, el('p', { class: 'brand' }, 'memcrest · ', state), el('h1', null, 'What containers use, to the peak'), last), el('div', null, nav, themes())), main);
onPlace(show);
followLinks();
show();
let painted = false;
const kept = []; // ticks that are not drawn yet: a tab that nobody sees draws none
const MOST_KEPT = 2000;
stream('api/v1/events?usage=1', ({ event, data }) => {
  if (event === 'incident') told(data);
  if (event !== 'usage') return;
  document.documentElement.dataset.tick = data.time;
  change(data);
  if (data.list_changed) list();
  // One drawing per frame, however many ticks come.
  kept.push(data);
  if (kept.length > MOST_KEPT) kept.shift();
  if (!painted) {
    painted = true;
    requestAnimationFrame(() => {
      painted = false;
      shown?.update(kept.splice(0));
    });
  }
}, (now, why) => {
  state.textContent = now === 'open' ? 'live' : 'connection lost, trying again';
  state.className = now === 'open' ? 'state' : 'state alarm';
  document.documentElement.dataset.state = now;
  if (now === 'open') list();
  if (why?.status === 401) askToken();
});

addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches?.('input, select, textarea');
  if (typing && event.key !== 'Escape') return;
  if (typing) {
    event.target.blur();
    return;
  }
  if (document.querySelector('dialog[open]') || event.target.closest?.('.flamebox')) return;
  const act = shown?.keys?.[event.key] ?? { c: () => go({}), i: () => go({ view: 'incidents' }), '?': help }[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => shown?.redraw?.());
