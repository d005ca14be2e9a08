// SPDX-License-Identifier: Apache-2.0
// The named stacks of incidents as one tree for the flame graph.

/** `list`: incidents; null where none has stacks. */
export function treeOf(list) {
  const root = { kind: 'all', name: 'all growth', bytes: 0, memory: {}, children: [] };
  const count = (node, bytes, kind) => {
    node.bytes += bytes;
    node.memory[kind] = (node.memory[kind] ?? 0) + bytes;
  };
  for (const { burst } of list) {
    for (const stack of burst?.stacks ?? []) {
      count(root, stack.bytes, stack.kind);
      let at = root;
      for (const frame of [...stack.frames].reverse()) {
        const name = frame.name || frame.module || 'unknown';
        let child = at.children.find((one) => one.name === name && one.module === (frame.module ?? ''));
        if (!child) {
          child = { kind: frame.module === '[kernel]' ? 'kernel' : 'user', name, module: frame.module ?? '', bytes: 0, memory: {}, children: [] };
          at.children.push(child);
        }
        count(child, stack.bytes, stack.kind);
        at = child;
      }
    }
  }
  return root.bytes > 0 ? root : null;
}
