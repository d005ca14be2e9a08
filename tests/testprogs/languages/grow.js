// SPDX-License-Identifier: Apache-2.0
// As grow.cpp.
function loadBatch(mib) {
  const out = [];
  for (let i = 0; i < mib; i++) {
    out.push(new Array(131072).fill(i + 0.5));
  }
  return out;
}

const kept = loadBatch(Number(process.argv[2]));
setTimeout(() => process.exit(kept.length ? 0 : 1), 300);
