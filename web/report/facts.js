// SPDX-License-Identifier: Apache-2.0
// The rows of an incident, in the order and the words of the terminal: killed, limit, swap, stalled, grew, samplers,
// state, settings, evidence. What is not known is said to be unknown, or left out where the terminal leaves it out.
import { el } from './dom.js';
import { counted, dated, hasOwnLimit, percent, process, size, span } from './words.js';

const join = (parts, joiner = ' · ') => parts.filter((part) => part !== null && part !== undefined && part !== '').join(joiner);
const code = (text) => el('code', null, text);
const nounOf = (container) => (['none', 'unknown'].includes(container?.runtime) ? 'cgroup' : container?.runtime === 'systemd' ? 'unit' : 'container');
const ms = (value) => span(value / 1000);

function killed(incident) {
  return incident.victims.slice(0, 5).map((victim) => [el('p', null, code(victim.cmdline || victim.comm), ' ', `pid ${victim.pid}`,
    victim.container_pid && victim.container_pid !== victim.pid ? ` (${victim.container_pid} in the ${nounOf(incident.container)})` : '', victim.main_process ? ' · main process' : ''),
  el('p', { class: 'more' }, `anon ${size(victim.anon_bytes)} · file ${size(victim.file_bytes)} · shmem ${size(victim.shmem_bytes)} · swap ${size(victim.swap_bytes)} · page tables ${size(victim.pagetable_bytes)} · oom_score_adj ${victim.oom_score_adj}`)])
    .concat(incident.victims.length > 5 ? [el('p', { class: 'more' }, `and ${incident.victims.length - 5} more, listed below`)] : []);
}

function limit(incident) {
  const noun = nounOf(incident.container);
  const whose = {
    memcg: incident.limit.bytes === null && incident.kind === 'burst' ? '' : `${incident.limit.kind ?? 'limit'} of this ${noun}`,
    ancestor: `${incident.limit.kind ?? 'limit'} ${incident.limit.of_pod ? 'of its pod' : `of an ancestor, not of this ${noun}`}: ${incident.limit.cgroup_path ?? 'path unknown'}`,
    host: incident.oom?.sysrq ? 'asked for by sysrq-f: nothing was exhausted' : 'the machine’s own memory was used up, no cgroup’s limit',
    cpuset: 'the memory nodes that the cpuset allows were used up, no cgroup’s limit',
    mempolicy: 'the memory nodes that the memory policy allows were used up, no cgroup’s limit',
  }[incident.scope];
  const bytes = incident.limit.bytes !== null ? el('strong', null, size(incident.limit.bytes)) : incident.kind === 'burst' ? 'none known' : 'size unknown';
  return el('p', null, bytes, whose ? `  ·  ${whose}` : '', incident.usage_bytes !== null ? ` · in use ${size(incident.usage_bytes)}` : '',
    incident.peak_bytes !== null && incident.peak_bytes !== incident.usage_bytes ? ` · highest ever of this ${noun} ${size(incident.peak_bytes)}` : '',
    incident.oom?.limit_lowered ? el('strong', { class: 'notice' }, ' · was lowered below what was in use') : '');
}

function swap({ swap: one }) {
  if (!one || one.limit_bytes === null) return null;
  const both = one.kind?.includes('memsw') ? ': memory and swap together' : '';
  if (one.limit_bytes === 0) return el('p', null, `none allowed, ${one.kind ?? 'its limit'} is 0`);
  const use = one.usage_bytes === null ? `limited to ${size(one.limit_bytes)}` :
    `${size(one.usage_bytes)} of ${size(one.limit_bytes)} (${one.usage_bytes >= one.limit_bytes ? 'full' : percent(one.usage_bytes / one.limit_bytes)})`;
  return el('p', null, use, ` · ${one.kind ?? 'its limit'}${both}`);
}

function stalled({ reclaim }) {
  if (!reclaim || !(reclaim.direct_ms > 0 || reclaim.throttle_ms > 0)) return null;
  const parts = [reclaim.direct_ms > 0 && `${ms(reclaim.direct_ms)} in direct reclaim`, reclaim.throttle_ms > 0 && `${ms(reclaim.throttle_ms)} for memory.high`].filter(Boolean);
  return el('p', null, `waited ${parts.join(', ')}, in the ${ms(reclaim.window_ms)} before`,
    reclaim.direct_ms + reclaim.throttle_ms > reclaim.window_ms ? ' (all tasks added up)' : '');
}

const ENDS = { fell: 'fell again', levelled: 'stayed there', killed: null, removed: 'its cgroup was removed', open: 'was still going on' };

// Workers of a pool are one line, as in the terminal: "24 × gunicorn worker".
const many = (count, name) => (count > 1 ? `${counted(count, '', '')}× ${name}` : name);

function growers(burst) {
  const pools = burst.programs?.[0]?.processes > 1;
  const lines = pools
    ? burst.programs.slice(0, 3).map((one) => [one.share, many(one.processes, one.cmdline ?? one.comm), one.bytes])
    : burst.contributors.slice(0, 3).map((one) => [one.share, process(one.comm, one.pid), one.bytes]);
  const threads = (burst.threads ?? []).filter((one) => one.share >= 0.01).slice(0, 3);
  return [lines.map(([share, name, bytes]) => el('p', { class: 'more' }, `${percent(share)} `, code(name), ` ${size(bytes)}`)),
    threads.length ? el('p', { class: 'more' }, 'threads: ', threads.map((one, i) => [i > 0 ? ' · ' : '', code(many(one.threads, one.thread)), ` ${percent(one.share)}`])) : null];
}

function grew({ burst }) {
  if (!burst) return null;
  const speed = burst.slope_bytes_per_s ? ` (${size(burst.slope_bytes_per_s)}/s)` : '';
  return [el('p', null, el('strong', null, `${size(burst.base_bytes)} → ${burst.peak_exact ? '' : 'at least '}${size(burst.peak_bytes)}`), ` in ${ms(burst.duration_ms)}${speed}`,
    ENDS[burst.end] ? ` · ${ENDS[burst.end]}` : ''),
  growers(burst),
  burst.page_cache_bytes > 0 ? el('p', { class: 'more' }, `of it page cache: ${size(burst.page_cache_bytes)}, which the kernel drops when it needs room`) : null];
}

function samplers(incident) {
  if (!incident.samplers.length) return null;
  const first = incident.samplers[0];
  const part = hasOwnLimit(incident) && incident.limit.bytes > 0 ? ` (${percent(first.typical_seen_bytes / incident.limit.bytes)})` : '';
  const seen = first.typical_seen_bytes === 0 ? 'had shown nothing yet' : `last showed about ${size(first.typical_seen_bytes)}${part}`;
  return el('p', null, `${first.name} ${seen} · chance to see the burst ${percent(first.chance_seen)}`);
}

function settings({ settings: set = [] }) {
  const one = ({ name, value, from }) => `${name}${name.endsWith('Xmx') ? '' : ' '}${value}${from && from !== name ? ` (${from})` : ''}`;
  return set.length ? el('p', null, code(join([...set.slice(0, 6).map(one), set.length > 6 ? `${set.length - 6} more` : '']))) : null;
}

function state({ container }) {
  const said = container.state;
  if (!said) return null;
  return el('p', null, join([said.status, said.exit_code !== null && said.exit_code !== undefined ? `exit code ${said.exit_code}` : '',
    said.oom_killed === null || said.oom_killed === undefined ? '' : `OOMKilled ${said.oom_killed}`, said.reason,
    said.restart_count > 0 ? `restarted ${counted(said.restart_count, 'time', 'times')}` : '', said.error ? `error: ${said.error}` : '',
    said.finished ? `ended ${dated(said.finished)}` : '']));
}

function stuck({ stuck: one }) {
  if (!one) return null;
  return el('p', null, `${counted(one.total_tasks, 'task waits', 'tasks wait')} instead of being killed (oom_kill_disable), ${one.ongoing ? 'for' : 'until'} ${ms(one.duration_ms)}${one.ongoing ? ' so far' : ' after it began'}: `,
    one.tasks.slice(0, 8).map((task) => process(task.comm, task.pid)).join(', '));
}

function refused({ charge_failure: one }) {
  if (!one) return null;
  return el('p', null, join([`${one.at_least ? 'at least ' : ''}${counted(one.count, 'time', 'times')}`, one.error, one.function && `wanted by ${one.function}`, one.bytes !== null && `last ${size(one.bytes)}`]));
}

function evidence({ evidence: one }) {
  const lost = one.lost_critical || one.lost_bulk ? `lost records: ${one.lost_critical} critical, ${one.lost_bulk} bulk` : 'lost 0';
  return [el('p', null, el('strong', { class: one.complete ? null : 'notice' }, one.complete ? 'complete' : 'not complete'), ` · charges ${one.charge_tier} · oom ${one.oom_tier} · ${lost}`),
    one.gaps.length ? el('ul', null, one.gaps.map((gap) => el('li', null, gap))) : null];
}

const sentBy = (one) => join([one.cmdline ?? one.comm, process(one.comm, one.pid), `uid ${one.uid}`, one.same_container ? 'in the same container' : one.container_id ? `container ${one.container_name ?? one.container_id.slice(0, 12)}` : one.unit]);

const childOf = (one) => (one?.parents?.length ? el('p', { class: 'more' }, 'child of ', code(one.parents.map((parent) => process(parent.comm, parent.pid)).join(' → '))) : null);

function ended({ end: one }) {
  if (!one) return null;
  // Who is asked may handle it, and end with whatever code it likes.
  const code_of = one.signal === 'SIGTERM' ? '' : `: exit ${128 + one.signal_number}`;
  const role = one.main_process ? `main process${code_of}` : one.main_process_known ? 'a child' : 'main process or child: not known';
  return [el('p', null, code(one.cmdline ?? one.comm), ` pid ${one.pid}, ${role}`),
    el('p', null, el('strong', null, one.signal), one.by_kernel ? ' by the kernel' : one.sender ? [' from ', sentBy(one.sender)] : '', one.core_dumped ? ', core dumped' : ''),
    childOf(one.sender),
    one.asked ? el('p', { class: 'more' }, `${one.asked.signal} ${ms(one.asked.before_ms)} before`, one.asked.sender ? [', from ', sentBy(one.asked.sender)] : '') : null,
    childOf(one.asked?.sender),
    one.left_out > 0 ? el('p', { class: 'notice' }, `${one.left_out} ends of this cgroup before it were left out by the rate limit`) : null];
}

function breakpoint({ breakpoint: one, trigger: thread }) {
  if (!one) return null;
  const names = one.frames.filter((frame) => frame.module !== '[kernel]').map((frame) => frame.name ?? frame.module ?? '?').reverse();
  return [el('p', null, el('strong', null, size(one.line_bytes)), one.rule ? ` ${one.rule}` : '', `, passed by ${size(one.overshoot_bytes)}`, one.late ? ', seen late' : ''),
    thread ? el('p', null, 'by ', code(process(thread.comm, thread.pid)), !thread.tid || thread.tid === thread.pid ? '' : ` thread ${thread.tid}`) : null,
    names.length ? el('p', { class: 'more' }, 'in ', code(names.join(' → '))) : null,
    one.action ? el('p', null, one.action) : null,
    one.outcome ? el('p', { class: one.failed ? 'notice' : null }, one.outcome, one.output ? [', in ', code(one.output)] : '') : null,
    one.processes.length ? el('ul', null, one.processes.slice(0, 16).map((held) => el('li', null, `${held.rss_bytes === null ? 'size unknown' : size(held.rss_bytes)} `, code(held.cmdline ?? held.comm), ` pid ${held.pid}${held.held ? ', held' : ''}`))) : null];
}

function trigger(incident) {
  const one = incident.trigger;
  if (!one || incident.breakpoint || incident.victims.some((victim) => victim.pid === one.pid)) return null;
  return el('p', null, code(process(one.comm, one.pid)), ' asked for the memory that was not there');
}

/** The definition list of one incident. */
export function facts(incident) {
  const unknown = incident.container.unknown_reason;
  const rows = [
    ['unknown', unknown ? el('p', { class: 'notice' }, unknown) : null],
    ['cgroup', el('p', null, code(incident.cgroup.path ?? `id ${incident.cgroup.id}, path unknown`))],
    ['killed', incident.victims.length ? killed(incident) : null], ['ended', ended(incident)], ['stuck', stuck(incident)], ['refused', refused(incident)], ['breakpoint', breakpoint(incident)],
    ['trigger', trigger(incident)], ['limit', limit(incident)], ['swap', swap(incident)], ['stalled', stalled(incident)],
    ['grew', grew(incident)], ['samplers', samplers(incident)], ['state', state(incident)], ['settings', settings(incident)], ['evidence', evidence(incident)],
  ];
  return el('dl', { class: 'facts' }, rows.filter(([, value]) => value).map(([label, value]) => el('div', null, el('dt', null, label), el('dd', null, value))));
}
