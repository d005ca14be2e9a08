// SPDX-License-Identifier: Apache-2.0
// Elements. Everything from a recording goes in as text and as nothing else: no markup is ever made of it.

/** el('td', {class: 'n'}, 'text', child, [children]): null and undefined are left out. */
export function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A table with a caption. Columns: {head, cell(row), number, wide, key}; one is the row's head. */
export function table(caption, columns, rows, attributes) {
  const cell = (column, row, at) => el(at === 0 ? 'th' : 'td',
    { scope: at === 0 ? 'row' : null, class: [column.number && 'n', column.wide && 'wide'].filter(Boolean).join(' ') || null },
    column.cell(row));
  return el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    el('table', attributes, el('caption', null, caption),
      el('thead', null, el('tr', null, columns.map((c) => el('th', { scope: 'col', class: c.number ? 'n' : null }, c.head)))),
      el('tbody', null, rows.map((row) => el('tr', { class: row.class ?? null }, columns.map((c, at) => cell(c, row, at)))))));
}

/** Value of a custom property of the style in force. */
export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

let ids = 0;
export const newId = (what) => `${what}-${++ids}`;

/** Offers `text` as a file, without any request. */
export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  el('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
