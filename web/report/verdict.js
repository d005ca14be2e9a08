// SPDX-License-Identifier: Apache-2.0
// Why it happened, what to do about it, and what the memory was.
import { el, newId, table } from './dom.js';
import { counted, percent, size } from './words.js';

// What is shown at once; the others wait behind a summary.
const FIRST_CAUSES = 3;

function section(title, ...content) {
  const id = newId('part');
  return el('section', { 'aria-labelledby': id }, el('h3', { id }, title), content);
}

const reasons = (title, list) => (list.length ? [el('p', { class: 'more' }, title), el('ul', null, list.map((one) => el('li', null, one)))] : null);

function cause(one) {
  return [el('h4', null, el('span', { class: 'cause' }, one.cause), ` · ${percent(one.confidence)} sure`),
    reasons('For it:', one.reasons_for), reasons('Against it, or missing:', one.reasons_against)];
}

function copyButton(text) {
  if (!navigator.clipboard) return null;
  const button = el('button', { type: 'button', onclick: () => navigator.clipboard.writeText(text).then(() => { said.textContent = 'Copied'; }, () => { said.textContent = 'Not allowed here'; }) }, 'Copy');
  const said = el('output', { class: 'more', 'aria-live': 'polite' });
  return el('p', { class: 'copy' }, button, ' ', said);
}

const line = ({ tool, text }) => [el('h4', null, tool), el('pre', { tabindex: 0, class: 'ready' }, text), copyButton(text)];

/** What to do: a sentence, the limit, and the lines that set it. */
function advice(one) {
  if (!one?.text) return null;
  const limit = one.limit_bytes === null ? null : el('p', { class: 'more' },
    `Limit: ${size(one.limit_bytes)} (${one.limit_bytes.toLocaleString('en')} bytes)${one.needed_bytes === null ? '' : `, for a need of ${one.needed_estimated ? 'about ' : ''}${size(one.needed_bytes)} and ${one.margin_percent} % margin`}${one.limit_guessed ? '; a guess: nothing tells how much more was wanted' : ''}.`);
  const [first, ...others] = one.lines;
  return [el('h4', null, 'What to do'), el('p', { class: 'told' }, one.text), limit, first ? line(first) : null,
    others.length ? el('details', null, el('summary', null, `The same for ${others.map((other) => other.tool).join(', ')}`), others.map(line)) : null];
}

/** Null where nothing went wrong that has a cause, and in recordings of early versions. */
export function why({ verdict, advice: advised }) {
  if (!verdict?.causes?.length && !advised?.text) return null;
  const causes = verdict?.causes ?? [];
  const rest = causes.slice(FIRST_CAUSES);
  return section('Why, and what to do', verdict ? el('p', { class: 'told' }, verdict.text) : null, advice(advised),
    causes.length ? el('details', { class: 'causes' }, el('summary', null, `What speaks for and against ${counted(causes.length, 'cause', 'causes')}`),
      causes.slice(0, FIRST_CAUSES).map(cause), rest.length ? el('p', { class: 'more' }, `Less likely: ${rest.map((one) => `${one.cause}, ${percent(one.confidence)} sure`).join('; ')}.`) : null) : null);
}

const SOURCES = {
  kernel_log: 'memory.stat of the cgroup, as the kernel printed it at the kill',
  victims: 'resident memory of the first process killed; the rest by difference',
  growth: 'what grew, by the steps that were seen',
};
// The colours of the page's other bars.
const COLOURS = { anon: 'anon', thp: 'anon', file: 'file', shmem: 'shmem', swap: 'swap' };

/** What the memory was, at the kill. */
export function composition({ composition: one, limit }) {
  if (!one?.parts?.length) return null;
  const total = Math.max(1, one.total_bytes ?? 0, one.parts.reduce((sum, part) => sum + part.bytes, 0));
  const bar = el('span', { class: 'bar' }, one.parts.map((part) => {
    const piece = el('span', { class: `kind ${COLOURS[part.name] ?? 'tables'}` });
    piece.style.flexGrow = String(part.bytes / total);
    return piece;
  }));
  return section('What the memory was', el('div', { 'aria-hidden': 'true' }, bar),
    table(SOURCES[one.source] ?? one.source, [
      { head: 'Kind', cell: (part) => part.name }, { head: 'Size', number: true, cell: (part) => size(part.bytes) },
      { head: 'Of all', number: true, cell: (part) => percent(part.bytes / total) },
      { head: 'Of the limit', number: true, cell: (part) => (limit.bytes > 0 ? percent(part.bytes / limit.bytes) : '–') },
    ], one.parts));
}

/** What kind of memory a burst was, and which programs and threads it came from. */
export function grown({ burst }) {
  if (!burst) return null;
  const share = { head: 'Share', number: true, cell: (one) => percent(one.share) };
  const bytes = { head: 'Growth', number: true, cell: (one) => size(one.bytes) };
  const many = (list, least) => (list ?? []).length > least;
  return [
    many(burst.kinds, 0) ? table('The burst by kind of memory', [{ head: 'Kind', cell: (one) => one.kind }, bytes, share], burst.kinds) : null,
    many(burst.programs, 1) || burst.programs?.[0]?.processes > 1 ? table('The burst by program', [
      { head: 'Program', wide: true, cell: (one) => one.cmdline || one.comm }, { head: 'Processes', number: true, cell: (one) => one.processes }, bytes, share], burst.programs) : null,
    many(burst.threads, 1) ? table('The burst by thread', [
      { head: 'Threads', cell: (one) => one.thread }, { head: 'Of', cell: (one) => one.comm }, { head: 'How many', number: true, cell: (one) => one.threads }, bytes, share], burst.threads) : null,
    many(burst.hints, 0) ? el('ul', { class: 'more' }, burst.hints.map((one) => el('li', null, one))) : null,
  ];
}
