// SPDX-License-Identifier: Apache-2.0
// heap.js MIB PAUSE-MS: keeps numbers in the JavaScript heap, one MiB at a time.
const kept = [];
const timer = setInterval(() => {
  kept.push(new Array(131072).fill(kept.length + 0.5));
  if (kept.length >= Number(process.argv[2])) {
    clearInterval(timer);
  }
}, Number(process.argv[3]));
