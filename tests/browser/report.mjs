// SPDX-License-Identifier: Apache-2.0
// Opens one report in Debian's Chromium, uses it as people do, and prints what it saw as one JSON object:
// node report.mjs MODULES PAGE OUT. Judges nothing: tests/e2e/test_report.py does. Pictures go to the directory OUT.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, page, out] = process.argv.slice(2).map((path) => resolve(path));
const require = createRequire(join(modules, 'node_modules', 'x.js'));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const url = pathToFileURL(page).href;
const seen = { requests: [], errors: [], dialogs: 0 };

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true, ...options });
  const tab = await context.newPage();
  tab.on('request', (request) => request.url() === url || request.url().startsWith('blob:') || request.url().startsWith('data:') || seen.requests.push(request.url()));
  tab.on('console', (message) => ['error', 'warning'].includes(message.type()) && seen.errors.push(message.text()));
  tab.on('pageerror', (error) => seen.errors.push(String(error)));
  tab.on('dialog', (dialog) => {
    ++seen.dialogs;
    dialog.dismiss();
  });
  await tab.goto(url);
  await tab.waitForFunction(() => document.documentElement.dataset.ready);
  return tab;
}
const near = (tab) => tab.locator('article').first();
const view = async (tab) => {
  const plot = near(tab).locator('.plot');
  return [Number(await plot.getAttribute('data-from')), Number(await plot.getAttribute('data-to'))];
};
const said = (tab) => near(tab).locator('.chart > output').textContent();
const background = (tab) => tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
// axe is put in past the page's own policy, by the debugger.
async function judge(tab) {
  await tab.evaluate(axe);
  const found = await tab.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return found.violations.filter((one) => ['serious', 'critical'].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 120)} ${node.failureSummary?.slice(0, 200) ?? ''}`).join(' | ')}`);
}

const tab = await open();
seen.ready_ms = Number(await tab.evaluate(() => document.documentElement.dataset.ready));
seen.painted_ms = await tab.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now())))));
seen.title = await tab.title();
seen.facts = Object.fromEntries(await near(tab).locator('dl.facts > div').evaluateAll((rows) => rows.map((row) => [row.querySelector('dt').textContent, row.querySelector('dd').textContent])));
seen.told = await near(tab).locator('p.told').allTextContents();
seen.ready = await near(tab).locator('pre.ready').allTextContents();
seen.headings = await tab.locator('h1, h2, h3').allTextContents();
seen.text = (await tab.locator('body').innerText()).slice(0, 200_000);
// Of each incident what stands there before anybody scrolls to it: heading, why, facts.
seen.stories = await tab.locator('article').evaluateAll((articles) => articles.map((one) => [...one.children]
  .filter((child) => !child.classList.contains('rest')).map((child) => child.innerText).join('\n')));
seen.tables = await near(tab).locator('table').evaluateAll((tables) => tables.map((table) => ({
  caption: table.caption.textContent,
  rows: [...table.tBodies[0].rows].slice(0, 100).map((row) => [...row.cells].map((cell) => cell.textContent)),
})));
seen.frames = await near(tab).locator('g.frame').evaluateAll((frames) => frames.map((frame) => frame.getAttribute('aria-label')));
seen.foreign = await tab.evaluate(() => ({ images: document.images.length, scripts: document.scripts.length, frames: frames.length }));
await tab.screenshot({ path: join(out, 'light.png'), fullPage: true });

const hasChart = (await near(tab).locator('.plot canvas').count()) > 0;
seen.has_chart = hasChart;
if (hasChart) {
  // What the chart is drawn from, as the page itself gives it away.
  await near(tab).locator('.chart details summary').click();
  const [download] = await Promise.all([tab.waitForEvent('download'), near(tab).getByRole('button', { name: /as CSV/ }).click()]);
  await download.saveAs(join(out, 'usage.csv'));
  await near(tab).locator('.chart details summary').click();

  const plot = near(tab).locator('.plot');
  const box = async () => near(tab).locator('.plot .u-over').boundingBox();
  seen.views = { home: await view(tab) };
  await plot.scrollIntoViewIfNeeded();
  let at = await box();
  await tab.mouse.move(at.x + at.width * 0.25, at.y + at.height / 2);
  await tab.mouse.down();
  await tab.mouse.move(at.x + at.width * 0.5, at.y + at.height / 2, { steps: 5 });
  await tab.mouse.up();
  seen.views.dragged = await view(tab);
  await tab.mouse.dblclick(at.x + at.width * 0.5, at.y + at.height / 2);
  seen.views.whole = await view(tab);
  await near(tab).getByRole('button', { name: 'Zoom in' }).click();
  seen.views.button = await view(tab);
  await near(tab).getByRole('button', { name: /Show the (burst|moment)/ }).click();
  seen.views.back = await view(tab);
  const top = await tab.evaluate(() => scrollY);
  at = await box();
  await tab.mouse.move(at.x + at.width * 0.5, at.y + at.height / 2);
  await tab.keyboard.down('Control');
  await tab.mouse.wheel(0, -200);
  await tab.keyboard.up('Control');
  await tab.waitForTimeout(200);
  seen.views.wheel = await view(tab);
  seen.wheel_scrolled = (await tab.evaluate(() => scrollY)) !== top;
  // Hover: the moment itself.
  await near(tab).getByRole('button', { name: /Show the (burst|moment)/ }).click();
  at = await box();
  const [from, to] = await view(tab);
  await tab.mouse.move(at.x + at.width * ((0 - from) / (to - from)) + 1, at.y + at.height / 2);
  seen.said_at_moment = await said(tab);

  // The keyboard alone.
  await plot.focus();
  await tab.keyboard.press('+');
  seen.views.plus = await view(tab);
  seen.said_zoom = await said(tab);
  await tab.keyboard.press('-');
  seen.views.minus = await view(tab);
  await tab.keyboard.press('Shift+ArrowLeft');
  seen.views.left = await view(tab);
  await tab.keyboard.press('b');
  await tab.keyboard.press('ArrowLeft');
  seen.said_step = [await said(tab)];
  await tab.keyboard.press('ArrowLeft');
  seen.said_step.push(await said(tab));
  const box1 = near(tab).getByLabel(/docker stats/);
  if (await box1.count()) {
    seen.toggle = [await box1.isChecked()];
    await box1.focus();
    await tab.keyboard.press('Space');
    seen.toggle.push(await box1.isChecked());
    await tab.keyboard.press('Space');
  }
  if (seen.frames.length > 2) {
    await near(tab).locator('g.frame[tabindex="0"]').focus();
    await tab.keyboard.press('ArrowUp');
    seen.frame_said = await near(tab).locator('.flamebox output').textContent();
    await tab.keyboard.press('Enter');
    seen.frame_zoomed = await near(tab).locator('g.frame:focus').getAttribute('aria-label');
    await tab.keyboard.press('Escape');
  }
}
// Every control can be reached with Tab.
seen.tabs = [];
await tab.evaluate(() => {
  document.querySelector('.skip').focus();
});
seen.unmarked = []; // those that had the focus and did not show it
for (let i = 0; i < 200; ++i) {
  await tab.keyboard.press('Tab');
  const name = await tab.evaluate(() => {
    const node = document.activeElement;
    return node === document.body ? '' : node.getAttribute('aria-label') || node.textContent.trim().slice(0, 40) || node.id || node.closest('label')?.textContent || node.tagName;
  });
  if (!name || (i > 0 && name === seen.tabs[0])) break;
  seen.tabs.push(name);
  const marked = await tab.evaluate(() => {
    const node = document.activeElement;
    return getComputedStyle(node).outlineStyle !== 'none' || getComputedStyle(node.querySelector?.('rect') ?? node).strokeWidth === '2.5px';
  });
  if (!marked) seen.unmarked.push(name);
}

// What a screen reader is told of.
const session = await tab.context().newCDPSession(tab);
const tree = (await session.send('Accessibility.getFullAXTree')).nodes.filter((node) => !node.ignored);
seen.roles = {};
for (const node of tree) {
  const role = node.role?.value;
  (seen.roles[role] ??= []).push(node.name?.value ?? '');
}
for (const role of Object.keys(seen.roles)) if (!['table', 'main', 'banner', 'navigation', 'heading', 'region', 'contentinfo', 'toolbar', 'article', 'status'].includes(role)) delete seen.roles[role];
seen.axe = { light: await judge(tab) };

seen.paper = { light: await background(tab) };
await tab.getByLabel('Colours').selectOption('dark');
seen.paper.chosen_dark = await background(tab);
await tab.getByLabel('Colours').selectOption('auto');
await tab.emulateMedia({ media: 'print' });
seen.print = await tab.evaluate(() => ({
  tools: [...document.querySelectorAll('.tools, .theme')].some((node) => node.getClientRects().length > 0),
  width: document.documentElement.scrollWidth, paper: getComputedStyle(document.body).backgroundColor,
}));
const pdf = await tab.pdf({ path: join(out, 'print.pdf'), format: 'A4', printBackground: true });
seen.pdf_bytes = pdf.length;

const dark = await open({ colorScheme: 'dark' });
seen.paper.dark = await background(dark);
seen.axe.dark = await judge(dark);
await dark.screenshot({ path: join(out, 'dark.png'), fullPage: true });

const phone = await open({ viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
seen.phone = await phone.evaluate(() => ({ page: document.documentElement.scrollWidth, window: innerWidth }));
if (hasChart) {
  await near(phone).locator('.plot').scrollIntoViewIfNeeded();
  const before = await view(phone);
  const box = await near(phone).locator('.plot .u-over').boundingBox();
  const touch = await phone.context().newCDPSession(phone);
  const points = (spread) => [-1, 1].map((side, id) => ({ x: box.x + box.width / 2 + side * spread, y: box.y + box.height / 2, id }));
  await touch.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: points(20) });
  for (const spread of [30, 45, 60]) await touch.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: points(spread) });
  await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  seen.pinched = [before, await view(phone)];
}
seen.axe.phone = await judge(phone);
await phone.screenshot({ path: join(out, 'phone.png'), fullPage: true });

const plain = await browser.newContext({ javaScriptEnabled: false });
const bare = await plain.newPage();
await bare.goto(url);
seen.without_script = (await bare.locator('body').innerText()).slice(0, 20_000);

await browser.close();
process.stdout.write(JSON.stringify(seen));
