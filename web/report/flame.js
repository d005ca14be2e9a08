// SPDX-License-Identifier: Apache-2.0
// Growth by stack as a flame graph: processes below, what they called above. d3-flame-graph draws; here it gets the
// page's colours, a keyboard and words for a screen reader.
import flamegraph from 'd3-flame-graph';
import { select } from 'd3-selection';

import { css, el } from './dom.js';
import { percent, size } from './words.js';

const COLOURS = { all: '--flame-all', process: '--flame-process', user: '--flame-user', kernel: '--flame-kernel', rest: '--flame-all' };
const convert = (node) => ({ name: node.name, kind: node.kind, value: node.bytes, children: (node.children ?? []).map(convert) });

export function flame(root, label) {
  const total = root.bytes || 1;
  const place = el('div', { class: 'flame' });
  const said = el('output', { class: 'readout', 'aria-live': 'polite' }, 'Choose a frame to see its share.');
  const words = (d) => `${d.data.name}: ${size(d.data.value)}, ${percent(d.data.value / total)} of the growth`;
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

  function build() {
    const width = Math.max(200, place.clientWidth);
    graph = flamegraph().width(width).cellHeight(20).minFrameSize(1).transitionDuration(0).tooltip(false).sort(true)
      .setLabelHandler(words).setColorMapper((d) => (d.highlight ? css('--accent') : css(COLOURS[d.data.kind] ?? '--flame-all')))
      .onClick((d) => {
        prepare(d);
        said.textContent = words(d);
      }).onHover((d) => {
        said.textContent = words(d);
      });
    select(place).datum(convert(root)).call(graph);
    prepare();
    height = width;
    new ResizeObserver(() => {
      const now = Math.max(200, place.clientWidth);
      if (Math.abs(now - height) > 1) {
        height = now;
        graph.width(now).update();
        prepare();
      }
    }).observe(place);
  }
  const node = el('div', { class: 'flamebox' }, place,
    el('div', { class: 'tools' }, el('button', { type: 'button', onclick: () => { graph.resetZoom(); prepare(); } }, 'Show all frames')), said);
  return { node, build, redraw: () => { graph?.update(); prepare(); } };
}
