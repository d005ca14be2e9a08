// SPDX-License-Identifier: Apache-2.0
// Containers as the page knows them: what the agent listed, and what its stream has said since.
const SECONDS = 60;

export const rows = new Map(); // by cgroup id

function nameOfRow({ container, cgroup }) {
  return container.name || (container.id ? `? ${container.id.slice(0, 12)}` : cgroup.path);
}

function groupOfRow({ container, cgroup }) {
  if (container.pod?.name) return container.pod.namespace ? `${container.pod.namespace}/${container.pod.name}` : container.pod.name;
  const project = container.labels?.['com.docker.compose.project'];
  return project ? `compose ${project}` : cgroup.path.split('/').slice(0, -1).join('/') || '/';
}

/** What the agent listed, anew. */
export function take(head, listed) {
  const seen = new Set();
  for (const one of listed) {
    const id = one.cgroup.id;
    seen.add(id);
    const { live } = one;
    const known = rows.get(id);
    rows.set(id, {
      id, name: nameOfRow(one), group: groupOfRow(one), image: one.container.image ?? '', container: one.container, path: one.cgroup.path,
      limit: one.limit_bytes, effective: one.effective_limit?.bytes ?? null, setBy: one.effective_limit?.cgroup_path ?? '',
      usage: one.usage_bytes ?? 0, peak: known ? Math.max(known.peak, one.usage_bytes ?? 0) : one.usage_bytes ?? 0, most: one.peak_bytes ?? 0,
      growth: live.growth_bytes_per_s, stall: live.stall_ms, ooms: one.oom_kills ?? 0, bursts: live.bursts, gone: live.gone, kind: live.memory_kind ?? '',
      history: live.history_bytes, second: Math.floor(head.boot_time_ns / 1e9), version: (known?.version ?? 0) + 1,
    });
  }
  for (const id of [...rows.keys()]) if (!seen.has(id)) rows.delete(id);
}

function advance(row, second) {
  for (; row.second < second; ++row.second) {
    row.history.push(row.usage);
    if (row.history.length > SECONDS) row.history.shift();
  }
}

/** A tick of the stream: the rows that changed. */
export function change({ boot_time_ns: boot, rows: changed }) {
  const second = Math.floor(boot / 1e9);
  for (const row of rows.values()) {
    const moved = row.second < second;
    advance(row, second);
    if (moved && row.history.some((value) => value !== row.history[0])) row.version += 1;
  }
  for (const [id, usage, peak, most, growth, stall, ooms, bursts, gone] of changed) {
    const row = rows.get(id);
    if (!row) continue;
    Object.assign(row, { usage, peak, most, growth, stall, ooms, bursts, gone: gone === 1 });
    row.history[row.history.length - 1] = Math.max(row.history[row.history.length - 1] ?? 0, peak);
    row.version += 1;
  }
}

export const share = (row) => (row.effective === null ? null : row.effective === 0 ? 1 : Math.max(row.peak, row.usage) / row.effective);

const ORDERS = {
  percent: share, use: (row) => row.usage, peak: (row) => row.peak, max: (row) => row.most, limit: (row) => row.effective,
  growth: (row) => row.growth, oom: (row) => row.ooms, stall: (row) => row.stall,
};
export const orders = [...Object.keys(ORDERS), 'name'];

export function sorted(text, order) {
  const wanted = text.toLowerCase();
  const out = [...rows.values()].filter((row) => !wanted || [row.name, row.group, row.image, row.id === Number(text) ? text : '', row.path].some((one) => one.toLowerCase().includes(wanted)));
  const rank = ORDERS[order];
  const byName = (a, b) => a.name.localeCompare(b.name) || a.id - b.id;
  if (!rank) return out.sort(byName);
  return out.sort((a, b) => {
    const [left, right] = [rank(a), rank(b)];
    return left === right ? byName(a, b) : left === null ? 1 : right === null ? -1 : right - left;
  });
}
