// SPDX-License-Identifier: Apache-2.0
// Growth by stack as a flame graph: processes below, what they called above. d3-flame-graph draws; here it gets the
// page's colours, a keyboard and words for a screen reader.
import flamegraph from 'd3-flame-graph';
import { select } from 'd3-selection';

import { css, el } from './dom.js';
import { memoryKind, percent, size } from './words.js';

const COLOURS = { all: '--flame-all', process: '--flame-process', user: '--flame-user', kernel: '--flame-kernel', rest: '--flame-all' };
// By the kind of memory that most of a frame's bytes are, where the picture is coloured so.
const MEMORY = { anon: '--kind-anon', thp: '--kind-anon', file: '--kind-file', shmem: '--kind-shmem', unknown: '--flame-all' };
const mostly = (memory) => Object.entries(memory ?? {}).reduce((most, one) => (one[1] > most[1] ? one : most), ['unknown', 0])[0];
// `only`: a kind of memory; frames that have none of it are left out.
function convert(node, only) {
  const value = only ? node.memory?.[only] ?? 0 : node.bytes;
  const children = (node.children ?? []).map((child) => convert(child, only)).filter((child) => child.value > 0);
  return { name: node.name, kind: node.kind, module: node.module, memory: mostly(node.memory), value, children };
}

export function flame(root, label) {
  let shown = null;  // one kind of memory
  let byKind = false;
  const amount = () => (shown ? root.memory[shown] : root.bytes) || 1;
  const place = el('div', { class: 'flame' });
  const said = el('output', { class: 'readout', 'aria-live': 'polite' }, 'Choose a frame to see its share.');
  const words = (d) => `${d.data.name}${d.data.module ? ` in ${d.data.module}` : ''}: ${size(d.data.value)}, ${percent(d.data.value / amount())} of the growth`
    + (d.data.memory === 'unknown' ? '' : `, ${shown || d.data.memory === undefined ? '' : 'mostly '}${memoryKind(shown ?? d.data.memory)}`);
  const colour = (d) => (byKind ? MEMORY[d.data.memory] ?? '--kind-other' : COLOURS[d.data.kind] ?? '--flame-all');
  let graph;
  let height = 0;

  const frames = () => [...place.querySelectorAll('g.frame')];
  function prepare(focus) {
    for (const g of frames()) {
      const d = select(g).datum();
      g.setAttribute('role', 'button');
      g.setAttribute('aria-label', words(d));
      g.setAttribute('tabindex', d === focus || (!focus && !d.parent) ? '0' : '-1');
    }
    const svg = place.querySelector('svg');
    svg?.setAttribute('role', 'group');
    svg?.setAttribute('aria-label', label);
  }
  const nodeOf = (d) => frames().find((g) => select(g).datum() === d);
  function focus(d) {
    const g = d && nodeOf(d);
    if (!g) return;
    prepare(d);
    g.focus();
    said.textContent = words(d);
  }
  function move(d, key) {
    const siblings = d.parent?.children ?? [d];
    const at = siblings.indexOf(d);
    return { ArrowUp: d.children?.reduce((most, child) => (child.value > most.value ? child : most)), ArrowDown: d.parent, ArrowLeft: siblings[at - 1], ArrowRight: siblings[at + 1] }[key];
  }
  place.addEventListener('keydown', (event) => {
    const g = event.target.closest?.('g.frame');
    if (!g) return;
    const d = select(g).datum();
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      graph.zoomTo(d);
      focus(d);
    } else if (event.key === 'Escape') {
      event.preventDefault();
      graph.resetZoom();
      prepare();
      focus(select(frames()[0]).datum());
    } else if (event.key.startsWith('Arrow')) {
      event.preventDefault();
      focus(move(d, event.key));
    }
  });
  place.addEventListener('focusin', (event) => {
    const g = event.target.closest?.('g.frame');
    if (g) said.textContent = words(select(g).datum());
  });

  function draw() {
    const width = Math.max(200, place.clientWidth);
    graph = flamegraph().width(width).cellHeight(20).minFrameSize(1).transitionDuration(0).tooltip(false).sort(true)
      .setLabelHandler(words).setColorMapper((d) => (d.highlight ? css('--accent') : css(colour(d))))
      .onClick((d) => {
        prepare(d);
        said.textContent = words(d);
      }).onHover((d) => {
        said.textContent = words(d);
      });
    select(place).datum(convert(root, shown)).call(graph);
    prepare();
    height = width;
  }
  function build() {
    draw();
    new ResizeObserver(() => {
      const now = Math.max(200, place.clientWidth);
      if (Math.abs(now - height) > 1) {
        height = now;
        graph.width(now).update();
        prepare();
      }
    }).observe(place);
  }
  function anew() {
    place.replaceChildren();
    draw();
  }
  const kinds = Object.entries(root.memory ?? {}).filter(([kind, bytes]) => kind !== 'unknown' && bytes > 0).sort((a, b) => b[1] - a[1]);
  const filter = kinds.length === 0 ? [] : [
    el('label', null, 'Memory ', el('select', { onchange: (event) => { shown = event.target.value || null; anew(); } },
      el('option', { value: '' }, 'of all kinds'), kinds.map(([kind, bytes]) => el('option', { value: kind }, `${memoryKind(kind)}, ${size(bytes)}`)))),
    el('label', null, el('input', { type: 'checkbox', onchange: (event) => { byKind = event.target.checked; anew(); } }), ' Tinted by kind'),
  ];
  const node = el('div', { class: 'flamebox' }, place,
    el('div', { class: 'tools' }, filter, el('button', { type: 'button', onclick: () => { graph.resetZoom(); prepare(); } }, 'Show all frames')), said);
  return { node, build, redraw: () => { graph?.update(); prepare(); } };
}
