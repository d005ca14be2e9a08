// SPDX-License-Identifier: Apache-2.0
// One incident: its facts, then the charts and tables that show where they come from.
import { usageChart } from './chart.js';
import { el, newId, table } from './dom.js';
import { facts } from './facts.js';
import { flame } from './flame.js';
import { composition, grown, why } from './verdict.js';
import { dated, hasOwnLimit, indented, kindOf, nameOf, percent, process, setting, size, span } from './words.js';

const KIND_NAMES = [['anon', 'anon_bytes', 'Anonymous'], ['file', 'file_bytes', 'Files'], ['shmem', 'shmem_bytes', 'Shared memory, tmpfs'],
  ['swap', 'swap_bytes', 'Swap'], ['tables', 'pagetable_bytes', 'Page tables']];
const optional = (bytes) => (bytes === null || bytes === undefined ? '–' : size(bytes));

function section(title, ...content) {
  const id = newId('part');
  return el('section', { 'aria-labelledby': id }, el('h3', { id }, title), content);
}

function byKind(incident) {
  if (!incident.victims.length) return null;
  const most = Math.max(1, ...incident.victims.map((victim) => KIND_NAMES.reduce((sum, [, field]) => sum + victim[field], 0)));
  const bars = incident.victims.slice(0, 8).map((victim) => {
    const used = KIND_NAMES.filter(([, field]) => victim[field] > 0);
    return el('div', { class: 'kindrow' }, el('span', { class: 'who' }, process(victim.comm, victim.pid)),
      el('span', { class: 'bar' }, used.map(([kind, field]) => {
        const piece = el('span', { class: `kind ${kind}` });
        piece.style.flexGrow = String(victim[field] / most);
        return piece;
      }), (() => {
        const rest = el('span', { class: 'kind empty' });
        rest.style.flexGrow = String(1 - used.reduce((sum, [, field]) => sum + victim[field], 0) / most);
        return rest;
      })()));
  });
  const keys = el('p', { class: 'keys' }, KIND_NAMES.filter(([, field]) => incident.victims.some((victim) => victim[field] > 0))
    .map(([kind, , name]) => el('span', null, el('i', { class: `kind ${kind}` }), name)));
  return section('Memory by kind',
    el('div', { 'aria-hidden': 'true' }, bars, keys),
    table('Resident memory of those that were killed, at the kill', [
      { head: 'Process', cell: (v) => process(v.comm, v.pid), wide: true },
      ...KIND_NAMES.map(([, field, name]) => ({ head: name, number: true, cell: (v) => size(v[field]) })),
      { head: 'oom_score_adj', number: true, cell: (v) => v.oom_score_adj }, { head: 'uid', number: true, cell: (v) => v.uid },
    ], incident.victims),
    parents(incident));
}

function parents(incident) {
  const rows = incident.victims.flatMap((victim) => victim.parents.map((parent, i) => ({ victim, parent, i })));
  if (!rows.length) return null;
  return table('Where they came from: their parents, nearest first', [
    { head: 'Killed', cell: (r) => process(r.victim.comm, r.victim.pid) }, { head: 'Generation', number: true, cell: (r) => r.i + 1 },
    { head: 'Parent', cell: (r) => process(r.parent.comm, r.parent.pid) },
    { head: 'Command', wide: true, cell: (r) => r.parent.cmdline ?? '–' },
  ], rows);
}

// Sizes among what the kernel's memory.stat names; the rest are counts.
const NO_SIZE = /^(pg|work|thp_|swp|zs|numa_|hierarchical|total_)|_(refault|activate|restore|nodereclaim|fault|steal|scan)/;

function kernelStat(incident) {
  const entries = Object.entries(incident.memory_stat ?? {}).filter(([name, value]) => value > 0 && !NO_SIZE.test(name));
  if (!entries.length) return null;
  entries.sort((a, b) => b[1] - a[1]);
  return section('Memory of the whole cgroup',
    table('memory.stat as the kernel log printed it at the kill; kinds may overlap', [
      { head: 'Kind', cell: ([name]) => name }, { head: 'Size', number: true, cell: ([, value]) => size(value) },
      { head: 'Of the limit', number: true, cell: ([, value]) => (incident.limit.bytes > 0 ? percent(value / incident.limit.bytes) : '–') },
    ], entries));
}

function whoGrew(incident, growth, later) {
  if (!growth || !growth.total_bytes) return section('Who grew it', el('p', null, 'No growth was recorded of this cgroup in that time.'));
  const seconds = (growth.to_boot_time_ns - growth.from_boot_time_ns) / 1e9;
  const graph = growth.has_stacks ? flame(growth.stacks, 'Growth by stack') : null;
  if (graph) later.push(graph);
  return section('Who grew it',
    el('p', null, `${size(growth.total_bytes)} of growth in ${span(seconds)}${incident.burst ? ', the burst' : ''}. Falls are not taken off.`),
    table('Growth by process', [
      { head: 'Process', cell: (p) => (p.pid ? process(p.comm, p.pid) : 'nobody that a step names') },
      { head: 'Growth', number: true, cell: (p) => size(p.bytes) }, { head: 'Share', number: true, cell: (p) => percent(p.share) },
      { head: 'Page cache', number: true, cell: (p) => size(p.page_cache_bytes) }, { head: 'Steps', number: true, cell: (p) => p.steps },
    ], growth.processes),
    grown(incident),
    graph ? [el('h4', null, 'Growth by stack'), graph.node,
      el('p', { class: 'hint' }, 'Wide is much. Below the process, above it what it called; kernel frames have their own colour.', growth.has_names ? '' : ' Frames are addresses: the recording has no names.', ' Keys: arrows move, Enter zooms, Escape shows all.'),
      el('details', null, el('summary', null, 'The stacks as a table'), stackTable(growth))] : el('p', null, 'No stacks were recorded.'));
}

function stackTable(growth) {
  const rows = [];
  const walk = (node, path) => {
    const own = node.bytes - (node.children ?? []).reduce((sum, child) => sum + child.bytes, 0);
    const here = node.kind === 'all' ? path : [...path, node.module && node.kind === 'user' ? `${node.name} (${node.module.split('/').pop()})` : node.name];
    if (own > 0) rows.push({ path: here, bytes: own });
    for (const child of node.children ?? []) walk(child, here);
  };
  walk(growth.stacks, []);
  rows.sort((a, b) => b.bytes - a.bytes);
  return table(`The ${Math.min(50, rows.length)} stacks that grew most, outermost frame first`, [
    { head: 'Stack', wide: true, cell: (r) => r.path.join(' → ') }, { head: 'Growth', number: true, cell: (r) => size(r.bytes) },
    { head: 'Share', number: true, cell: (r) => percent(r.bytes / growth.total_bytes) },
  ], rows.slice(0, 50));
}

function samplers(incident) {
  if (!incident.samplers.length) return null;
  return section('What samplers would have seen',
    table('Tools that look every so often, at their usual intervals', [
      { head: 'Tool', cell: (s) => s.name }, { head: 'Looks every', number: true, cell: (s) => setting(s.interval_ms) },
      { head: 'Last showed about', number: true, cell: (s) => (s.typical_seen_bytes === 0 ? 'nothing yet' : size(s.typical_seen_bytes)) },
      { head: 'Of the limit', number: true, cell: (s) => (hasOwnLimit(incident) && incident.limit.bytes > 0 ? percent(s.typical_seen_bytes / incident.limit.bytes) : '–') },
      { head: 'Chance to see the burst', number: true, cell: (s) => percent(s.chance_seen) },
    ], incident.samplers));
}

function around(detail) {
  if (!detail.cgroups_at_kill?.length) return null;
  return section('Limits at the kill',
    table('The cgroup of the victim and those around it, innermost first', [
      { head: 'Cgroup', wide: true, cell: (c) => c.path ?? c.name ?? '/' }, { head: 'In use', number: true, cell: (c) => size(c.usage_bytes) },
      { head: 'Limit', number: true, cell: (c) => (c.limit_bytes === null ? 'none' : size(c.limit_bytes)) },
      { head: 'Full', number: true, cell: (c) => (c.limit_bytes > 0 ? percent(c.usage_bytes / c.limit_bytes) : '–') },
      { head: 'Highest ever', number: true, cell: (c) => size(c.peak_bytes) },
    ], detail.cgroups_at_kill));
}

function ranking({ ranking: one }) {
  if (!one) return null;
  const rows = (list) => table(list === one.by_usage ? 'Who held the machine’s memory' : `Who grew most in the ${span(one.growth_window_ms / 1000)} before`, [
    { head: 'Container or cgroup', wide: true, cell: (c) => c.container_name ?? c.container_id?.slice(0, 12) ?? c.cgroup.path ?? `id ${c.cgroup.id}` },
    { head: 'Runtime', cell: (c) => c.runtime }, { head: 'In use', number: true, cell: (c) => size(c.usage_bytes) },
    { head: 'Change', number: true, cell: (c) => `${c.growth_bytes > 0 ? '+' : ''}${size(c.growth_bytes)}` },
  ], list);
  return section('The whole machine', rows(one.by_usage), rows(one.by_growth), one.incomplete ? el('p', { class: 'notice' }, `May be wrong: ${one.incomplete}`) : null);
}

function processes(incident, detail) {
  if (!detail.processes?.length) return null;
  const victims = new Set(incident.victims.map((victim) => victim.pid));
  const rows = [...detail.processes].sort((a, b) => b.rss_bytes - a.rss_bytes).map((p) => ({ ...p, class: victims.has(p.pid) ? 'victim' : '' }));
  const shown = rows.slice(0, 200);
  const cut = detail.total_processes > shown.length ? ` The ${shown.length} largest of ${detail.total_processes}.` : '';
  return section('Processes at the kill',
    el('p', null, `What the kernel could choose from, as its log lists it.${cut}`),
    table('Processes at the kill, largest first', [
      { head: 'Process', cell: (p) => [process(p.comm, p.pid), p.class ? el('strong', { class: 'alarm' }, ' killed') : null] },
      { head: 'Resident', number: true, cell: (p) => size(p.rss_bytes) }, { head: 'Swap', number: true, cell: (p) => optional(p.swap_bytes) },
      { head: 'oom_score_adj', number: true, cell: (p) => p.oom_score_adj }, { head: 'uid', number: true, cell: (p) => p.uid },
    ], shown));
}

function raw(one) {
  const text = one.raw ? indented(one.raw) : JSON.stringify(one.incident, null, 2);
  return el('details', { class: 'raw' }, el('summary', null, 'The incident as JSON'), el('pre', { tabindex: 0 }, text));
}

/** The first lines, which are there at once. */
export function heading(one, index) {
  const { incident } = one;
  const container = incident.container;
  const tags = [container.runtime === 'none' ? 'no container' : [container.runtime, container.id?.slice(0, 12)].filter(Boolean).join(' '), container.image,
    container.compose && `compose ${container.compose.project}/${container.compose.service}`,
    container.pod?.name && `pod ${[container.pod.namespace, container.pod.name].filter(Boolean).join('/')}`].filter(Boolean);
  return el('header', null,
    el('p', { class: 'kindline' }, el('strong', { class: incident.kind === 'oom' ? 'badge alarm' : 'badge' }, kindOf(incident)), ' ', el('time', { datetime: incident.time }, dated(incident.time))),
    el('h2', { id: `incident-${index}`, tabindex: -1 }, nameOf(incident)), el('p', { class: 'tags' }, tags.map((tag) => el('span', null, tag))),
    el('p', { class: 'more' }, 'Incident ', el('code', null, one.id), one.told > 1 ? ` · told ${one.told} times, here as it was told last` : ''));
}

/** Everything below the facts. Returns what has to be built once it stands in the page. */
export function body(one, model) {
  const { incident } = one;
  const later = [];
  const chart = model ? usageChart({ ...model, incident, title: `memory usage of ${nameOf(incident)} over time` }) : null;
  if (chart) later.push(chart);
  const nodes = [
    section('Memory over time', chart ? chart.node : el('p', null, 'No usage of this cgroup was recorded.')),
    samplers(incident), whoGrew(incident, one.detail?.growth, later), byKind(incident), composition(incident), around(one.detail ?? {}), processes(incident, one.detail ?? {}),
    kernelStat(incident), ranking(incident), raw(one),
  ].filter(Boolean);
  return { nodes, later, chart };
}

export { facts, why };
