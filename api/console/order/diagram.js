// The life of an order as a diagram: every status, every change between them, and where this order stands. The service generates
// the changes from its rules; only the places of the statuses are chosen here.

import { basePath } from "../nav.js";
import { html } from "../lib.js";
import { Panel, useLoad, words } from "../ui.js";

const PLACES = {
  pending: [150, 24], confirmed: [150, 84], paid: [150, 144], partially_shipped: [150, 204], shipped: [150, 264],
  delivered: [150, 324], returned: [150, 384], cancelled: [322, 114], refunded: [322, 354],
};
const [WIDTH, HEIGHT] = [128, 30];

/** The curve of a change. Neighbours have a straight line; changes that skip a status go around it. */
function curve(from, to) {
  const [x1, y1] = PLACES[from];
  const [x2, y2] = PLACES[to];
  if (x1 === x2) {
    const isDown = y2 > y1;
    if (isDown && y2 - y1 <= 60) return `M${x1},${y1 + HEIGHT / 2} L${x2},${y2 - HEIGHT / 2 - 5}`;
    if (!isDown && x1 < 300 && y1 - y2 <= 60) return `M${x1 - 40},${y1 - HEIGHT / 2} L${x2 - 40},${y2 + HEIGHT / 2 + 5}`;
    const bulge = x1 < 300 ? -(30 + Math.abs(y2 - y1) / 6) : 24;
    const edge = x1 + (x1 < 300 ? -1 : 1) * (WIDTH / 2);
    return `M${edge},${y1} C${edge + bulge},${y1} ${edge + bulge},${y2} ${edge + Math.sign(bulge) * 5},${y2}`;
  }
  const [start, end] = [x1 + WIDTH / 2, x2 - WIDTH / 2 - 5];
  return `M${start},${y1} C${start + 30},${y1} ${end - 30},${y2} ${end},${y2}`;
}

export function Diagram({ order }) {
  const { data: changes } = useLoad((signal) => fetch(`${basePath}/console/assets/diagram.json`, { signal }).then((answer) => answer.json()), []);
  if (!changes) return null;
  const arrows = changes.filter(({ from, to }) => PLACES[from] && PLACES[to]);
  const next = arrows.filter(({ from }) => from === order.status);
  const isNext = (status) => next.some(({ to }) => to === status);
  const sorted = [...arrows].sort((a, b) => (a.from === order.status) - (b.from === order.status));
  return html`<${Panel} title="Where it stands">
    <svg class="diagram" viewBox="0 0 414 412" role="img" aria-label=${`The order is ${words(order.status)}.`}>
      <defs>${["faint", "next"].map((name) => html`<marker id=${`arrow-${name}`} class=${name} viewBox="0 0 6 6" refX="2" refY="3" markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0 L6,3 L0,6 z" /></marker>`)}</defs>
      ${sorted.map(({ from, to, events }) => {
        const name = from === order.status ? "next" : "faint";
        return html`<path key=${`${from}-${to}`} class=${`change ${name}`} d=${curve(from, to)} marker-end=${`url(#arrow-${name})`}><title>${`${words(from)} to ${words(to)}: ${events.map(words).join(", ")}`}</title></path>`;
      })}
      ${Object.entries(PLACES).map(([status, [x, y]]) => html`<g key=${status} class=${`status ${status === order.status ? "current" : isNext(status) ? "next" : ""}`}>
        <rect x=${x - WIDTH / 2} y=${y - HEIGHT / 2} width=${WIDTH} height=${HEIGHT} rx="7" /><text x=${x} y=${y + 4.5} text-anchor="middle">${words(status)}</text></g>`)}
    </svg>
    ${next.length > 0 ? html`<p class="small muted">From here: ${next.map(({ to, events }, index) => `${index > 0 ? "; " : ""}${events.map(words).join(" or ")} → ${words(to)}`)}. The status also depends on amounts and units.</p>`
      : html`<p class="small muted">No event changes this status in the diagram.</p>`}
  <//>`;
}
