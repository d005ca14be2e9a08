// SPDX-License-Identifier: Apache-2.0
// Where one is: the address alone says it, so that it can be kept, sent and gone back from.
const NAMES = ['view', 'q', 'sort', 'container', 'incident', 'kind'];

export function place() {
  const query = new URLSearchParams(location.search);
  const out = Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? '']));
  if (out.container) out.view = 'container';
  else if (out.incident) out.view = 'incident';
  else if (out.view !== 'incidents') out.view = 'containers';
  return out;
}

/** The address of a place: what is not named is left out. */
export function hrefOf(at) {
  const query = new URLSearchParams();
  for (const name of NAMES) {
    const implied = name === 'view' && (at.container || at.incident || at.view === 'containers');
    if (at[name] && !implied) query.set(name, at[name]);
  }
  const text = query.toString();
  return text ? `?${text}` : './';
}

let changed = () => {};
export function onPlace(call) {
  changed = call;
  addEventListener('popstate', call);
}

export function go(at) {
  history.pushState(null, '', hrefOf(at));
  changed();
}

/** Only says where one is: typing into a search is no step to go back, and the page shows it already. */
export const note = (at) => history.replaceState(null, '', hrefOf(at));

/** Links of the page change the place without loading it again. */
export function followLinks() {
  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('a[data-place]');
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(null, '', link.getAttribute('href'));
    changed();
  });
}
