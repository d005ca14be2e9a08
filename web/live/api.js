// SPDX-License-Identifier: Apache-2.0
// The agent's answers and its stream. A token, where one is asked for, is kept for this tab alone.
let token = sessionStorage.getItem('token') ?? '';

export function setToken(text) {
  token = text.trim();
  sessionStorage.setItem('token', token);
}

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function ask(path, signal) {
  const answer = await fetch(path, { headers: token ? { Authorization: `Bearer ${token}` } : {}, signal, cache: 'no-store' });
  if (!answer.ok) throw new Refused(answer.status, `${answer.status} for ${path}`);
  return answer;
}

export const json = async (path) => (await ask(path)).json();
export const blob = async (path) => (await ask(path)).blob();

/** A head and rows, as lines. */
export async function usage() {
  const [head, ...rows] = (await (await ask('api/v1/usage')).text()).trim().split('\n').map((line) => JSON.parse(line));
  return { head, rows };
}

/** Calls on({event, data}) for each event, and onState('open' | 'lost') as the connection goes; comes back by itself. */
export function stream(path, on, onState) {
  const stop = new AbortController();
  let pause = 500;
  async function follow() {
    const reader = (await ask(path, stop.signal)).body.pipeThrough(new TextDecoderStream()).getReader();
    onState('open');
    pause = 500;
    let text = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const lines = text.slice(0, end).split('\n');
        text = text.slice(end + 2);
        const field = (name) => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2)).join('\n');
        if (field('data')) on({ event: field('event'), data: JSON.parse(field('data')) });
      }
    }
  }
  (async () => {
    while (!stop.signal.aborted) {
      let why = null;
      await follow().catch((error) => { why = error; });
      if (stop.signal.aborted) return;
      onState('lost', why);
      await new Promise((done) => { setTimeout(done, pause); });
      pause = Math.min(pause * 2, 10_000);
    }
  })();
  return () => stop.abort();
}
