// SPDX-License-Identifier: Apache-2.0
// Fingers on a chart.

/** One finger moves, two zoom; the page still scrolls up and down (touch-action in the style). */
export function touch(area, get, set) {
  const fingers = new Map();
  let start = null;
  const local = (event) => event.clientX - area.getBoundingClientRect().left;
  const begin = () => {
    start = { view: get(), at: [...fingers.values()], width: area.clientWidth };
  };
  area.addEventListener('pointerdown', (event) => {
    if (event.pointerType !== 'touch') return;
    fingers.set(event.pointerId, local(event));
    begin();
  });
  area.addEventListener('pointermove', (event) => {
    if (!fingers.has(event.pointerId) || !start) return;
    fingers.set(event.pointerId, local(event));
    const now = [...fingers.values()];
    const scale = (start.view[1] - start.view[0]) / start.width;
    if (now.length === 1) {
      const moved = (start.at[0] - now[0]) * scale;
      set(start.view[0] + moved, start.view[1] + moved);
    } else if (now.length === 2) {
      const factor = Math.max(20, Math.abs(start.at[0] - start.at[1])) / Math.max(20, Math.abs(now[0] - now[1]));
      const centre = start.view[0] + ((start.at[0] + start.at[1]) / 2) * scale;
      const middle = (now[0] + now[1]) / 2 / start.width;
      const width = (start.view[1] - start.view[0]) * factor;
      set(centre - width * middle, centre + width * (1 - middle));
    }
  });
  for (const end of ['pointerup', 'pointercancel', 'pointerleave']) {
    area.addEventListener(end, (event) => {
      if (fingers.delete(event.pointerId)) begin();
    });
  }
}
