// SPDX-License-Identifier: Apache-2.0
// Opens the agent's live page in Debian's Chromium and does what one line of standard input after the other asks, each a
// JSON object {do, ...}; answers each with a line: node live.mjs MODULES URL OUT. Judges nothing: test_live.py does.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const [modules, url, out] = process.argv.slice(2);
const require = createRequire(join(resolve(modules), 'node_modules', 'x.js'));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
const seen = { requests: [], errors: [] };
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true });
const tab = await context.newPage();
tab.on('request', (request) => request.url().startsWith(url) || request.url().startsWith('blob:') || request.url().startsWith('data:') || seen.requests.push(request.url()));
tab.on('console', (message) => ['error', 'warning'].includes(message.type()) && seen.errors.push(message.text()));
tab.on('pageerror', (error) => seen.errors.push(String(error)));

const acts = {
  open: async ({ path = '' }) => {
    const answer = await tab.goto(url + path);
    await tab.waitForFunction(() => document.documentElement.dataset.ready, null, { timeout: 20_000 });
    return { policy: answer.headers()['content-security-policy'] };
  },
  // The figures of a row as the page holds them, once `least` is reached by `what`; when, by this machine's clock.
  row: async ({ name, what = 'usage', least = 0, timeout = 20_000 }) => {
    const handle = await tab.waitForFunction(([wanted, field, low]) => {
      const row = [...document.querySelectorAll('.containers tbody tr')].find((one) => one.querySelector('a')?.textContent === wanted);
      return row && Number(row.dataset[field]) >= low ? { usage: Number(row.dataset.usage), peak: Number(row.dataset.peak), cells: [...row.cells].map((cell) => cell.textContent), at: Date.now() / 1000 } : null;
    }, [name, what, least], { timeout, polling: 50 });
    return handle.jsonValue();
  },
  wait: async ({ selector, timeout = 20_000 }) => ({ text: await (await tab.waitForSelector(selector, { timeout })).textContent() }),
  text: async ({ selector = 'body' }) => ({ text: await tab.locator(selector).first().innerText() }),
  count: async ({ selector }) => ({ count: await tab.locator(selector).count() }),
  press: async ({ keys }) => {
    for (const key of keys) await tab.keyboard.press(key);
    return { url: tab.url(), focus: await tab.evaluate(() => document.activeElement?.textContent?.slice(0, 60) ?? '') };
  },
  type: async ({ text }) => {
    await tab.keyboard.type(text);
    return { url: tab.url() };
  },
  dark: async ({ on }) => {
    await tab.emulateMedia({ colorScheme: on ? 'dark' : 'light' });
    return { paper: await tab.evaluate(() => getComputedStyle(document.body).backgroundColor) };
  },
  axe: async () => {
    await tab.evaluate(axe);
    const found = await tab.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    return { violations: found.violations.filter((one) => ['serious', 'critical'].includes(one.impact)).map((one) => `${one.id}: ${one.nodes.slice(0, 2).map((node) => node.html.slice(0, 160)).join(' | ')}`) };
  },
  picture: async ({ name }) => {
    await tab.screenshot({ path: join(out, `${name}.png`) });
    return {};
  },
  download: async ({ button }) => {
    const [file] = await Promise.all([tab.waitForEvent('download'), tab.getByRole('button', { name: button }).first().click()]);
    const path = join(out, file.suggestedFilename());
    await file.saveAs(path);
    return { path };
  },
  // How long frames took over a while, and what the page's memory is after it.
  frames: async ({ seconds }) => tab.evaluate(async (span) => {
    const gaps = [];
    let last = performance.now();
    const end = last + span * 1000;
    while (last < end) {
      const now = await new Promise((done) => { requestAnimationFrame(done); });
      gaps.push(now - last);
      last = now;
    }
    gaps.sort((a, b) => a - b);
    return { frames: gaps.length, median: gaps[gaps.length >> 1], worst: gaps[gaps.length - 1], nodes: document.querySelectorAll('*').length };
  }, seconds),
  heap: async () => {
    const session = await tab.context().newCDPSession(tab);
    await session.send('HeapProfiler.collectGarbage');
    await session.send('Performance.enable');
    const { metrics } = await session.send('Performance.getMetrics');
    return Object.fromEntries(metrics.filter((one) => ['JSHeapUsedSize', 'Nodes'].includes(one.name)).map((one) => [one.name, one.value]));
  },
  seen: async () => seen,
};

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  let answer;
  try {
    answer = await acts[order.do](order);
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
