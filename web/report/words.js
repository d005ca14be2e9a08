// SPDX-License-Identifier: Apache-2.0
// Numbers in the words of the terminal: binary sizes, three digits.

// As printf rounds: what lies in the middle goes to the even digit, so that page and terminal show the same.
function fixed(value, digits) {
  const scaled = value * 10 ** digits;
  const below = Math.floor(scaled);
  return scaled - below === 0.5 ? ((below % 2 ? below + 1 : below) / 10 ** digits).toFixed(digits) : value.toFixed(digits);
}

export function size(bytes) {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return 'unknown';
  const sign = bytes < 0 ? '−' : '';
  let value = Math.abs(bytes);
  if (value < 1024) return `${sign}${value} B`;
  for (const unit of ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB']) {
    value /= 1024;
    // What would round up to 1024 is one of the next unit.
    if (value < 1023.5 || unit === 'EiB') {
      return `${sign}${fixed(value, value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)} ${unit}`;
    }
  }
  return '';
}

export function span(seconds) {
  const value = Math.abs(seconds);
  const digits = (n) => (n >= 99.95 ? n.toFixed(0) : n >= 9.995 ? n.toFixed(1) : n.toFixed(2));
  if (value === 0) return '0 s';
  if (value < 1e-6) return `${digits(value * 1e9)} ns`;
  if (value < 1e-3) return `${digits(value * 1e6)} µs`;
  if (value < 1) return `${digits(value * 1e3)} ms`;
  // What is rounded first cannot become 60 of the smaller unit.
  if (value < 59.95) return `${digits(value)} s`;
  const whole = Math.round(value);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(value / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function percent(part) {
  if (part === null || !Number.isFinite(part)) return 'unknown';
  const value = part * 100;
  if (value > 0 && value < 0.5) return 'under 1 %';
  if (value >= 99.5 && value < 100) return 'over 99 %';
  return `${Math.round(value)} %`;
}

/** What somebody set, so without the digits of a measurement. */
export const setting = (ms) => (ms % 1000 === 0 ? `${ms / 1000} s` : `${ms} ms`);

export const counted = (n, one, many) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`;

export const dated = (rfc3339) => (rfc3339 ? `${rfc3339.slice(0, 10)} ${rfc3339.slice(11, 23)} UTC` : 'unknown');

/** RFC 3339 moved by seconds, to the millisecond. */
export function shifted(rfc3339, seconds) {
  const fraction = Number(`0.${/\.(\d+)/.exec(rfc3339)?.[1] ?? '0'}`);
  const whole = Date.parse(rfc3339.replace(/\.\d+/, ''));
  const moved = new Date(whole + Math.round((fraction + seconds) * 1000));
  return Number.isNaN(moved.getTime()) ? '' : moved.toISOString().slice(11, 23);
}

export const KINDS = { oom: 'OOM kill', burst: 'Burst', kill: 'Kill', charge_failure: 'Memory refused', breakpoint: 'Breakpoint' };
export const kindOf = (incident) =>
  incident.kind === 'oom' && incident.stuck && incident.victims.length === 0 ? 'Stuck under OOM' : KINDS[incident.kind] ?? 'Incident';
export const nameOf = (incident) =>
  incident.container?.name || incident.container?.id?.slice(0, 12) || incident.cgroup?.path || `cgroup id ${incident.cgroup?.id}`;
const MEMORY_KINDS = { anon: 'anonymous memory', thp: 'huge pages', file: 'files', shmem: 'shared memory, tmpfs', slab: 'slab', kernel_stack: 'kernel stacks',
  page_tables: 'page tables', sockets: 'sockets', pipes: 'pipes', percpu: 'per-CPU memory', vmalloc: 'vmalloc', bpf: 'BPF', hugetlb: 'hugetlb', unknown: 'memory of unknown kind' };
export const memoryKind = (kind) => MEMORY_KINDS[kind] ?? kind;
export const process = (comm, pid) => `${comm}[${pid}]`;

/** JSON text over several lines, every token as it is: numbers keep digits that a double has no room for. */
export function indented(text) {
  let depth = 0;
  let out = '';
  const line = () => `\n${'  '.repeat(depth)}`;
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  tokens.forEach((token, i) => {
    if (token === '}' || token === ']') {
      depth -= 1;
      out += tokens[i - 1] === '{' || tokens[i - 1] === '[' ? token : line() + token;
      return;
    }
    if (tokens[i - 1] === '{' || tokens[i - 1] === '[' || tokens[i - 1] === ',') out += line();
    out += token === ':' ? ': ' : token;
    if (token === '{' || token === '[') depth += 1;
  });
  return out;
}

/** Whether the limit is the incident's own; recordings of before it was told know the scope alone. */
export const hasOwnLimit = ({ limit, scope }) => limit?.own ?? scope === 'memcg';
