// The history of an order: who did what and when, what each event changed, and what is parked or was refused. The page of an
// order shows it.

import { all, get } from "../api.js";
import { html, useEffect, useState } from "../lib.js";
import { Link } from "../nav.js";
import { Badge, Code, differences, ErrorBox, Facts, Json, Loading, money, Panel, Text, Time, titled, useLoad, words } from "../ui.js";

/** Members of an order that change with each event, or repeat others. */
const DERIVED = new Set(["object", "version", "updated_at", "allowed_events", "links", "payment", "shipment", "parked"]);
/** Members whose values are personal data. They are masked in the history too. */
const PERSONAL = new Set(["contact"]);
/** Members that are amounts, wherever they are. */
const AMOUNTS = /(^|\.)(total|amount|unit_price|authorized|captured|refunded|balance)$/;
/** Up to this length, what each event changed is loaded with the page. */
const LOADED = 25;

function stored(order) {
  return Object.fromEntries(Object.entries(order).filter(([name]) => !DERIVED.has(name)));
}

/** What changed between two states: `[{ path, before, after }]`. */
export function changes(before, after) {
  return differences(before ? stored(before) : {}, stored(after));
}

function Value({ path, value, currency }) {
  if (value === undefined) return html`<span class="muted">none</span>`;
  if (PERSONAL.has(path.split(".")[0])) return html`<span class="masked" aria-label="masked">••••••••</span>`;
  if (typeof value === "number" && AMOUNTS.test(path)) return money(value, currency);
  if (typeof value === "string" && /status$/.test(path)) return words(value);
  return html`<${Text} value=${typeof value === "string" ? value : JSON.stringify(value)} />`;
}

export function Changes({ before, after }) {
  const list = changes(before, after);
  if (list.length === 0) return html`<p class="muted small">Nothing that readers see changed.</p>`;
  return html`<ul class="changes">${list.map(({ path, before: old, after: now }) => html`<li><code><${Text} value=${path} /></code>
    ${before && html`<del><${Value} path=${path} value=${old} currency=${after.currency} /></del> <span aria-hidden="true">→</span><span class="unseen"> became </span>`}
    <ins><${Value} path=${path} value=${now} currency=${after.currency} /></ins></li>`)}</ul>`;
}

/** The words that changed, in one line: `pending → confirmed`. */
function Summary({ before, after }) {
  const parts = ["status", "payment_status", "fulfilment_status"].filter((name) => before[name] !== after[name]).map((name) => `${words(before[name])} → ${words(after[name])}`);
  if (before.total !== after.total) parts.push(`total ${money(before.total, after.currency)} → ${money(after.total, after.currency)}`);
  return parts.length > 0 ? html`<p class="small">${parts.join(" · ")}</p>` : null;
}

function withoutPersonal(data) {
  const { contact, ...rest } = data;
  return contact ? { ...rest, contact: "masked" } : rest;
}

function Entry({ event, past, isShown, loadsNow, onShow }) {
  const [isOpen, setOpen] = useState(false);
  const [states, setStates] = useState(null);
  const [error, setError] = useState(null);
  const wanted = isOpen || loadsNow;
  useEffect(() => {
    if (!wanted || states) return;
    const before = event.version > 1 ? past(event.version - 1) : null;
    Promise.all([before, past(event.version)]).then(setStates, setError);
  }, [wanted]);
  const facts = [
    ["Event", html`<${Code} value=${event.event_id} />`],
    ["Correlation", html`<${Code} value=${event.correlation_id} />`],
    ["Happened", html`<${Time} value=${event.timestamp} />`],
    ["Expected version", event.expected_version],
    ["Repaired", event.repaired && html`<${Text} value=${event.repaired.by ?? "by an operator"} />`],
  ];
  return html`<li class=${`entry ${isShown ? "shown" : ""}`}>
    <div class="entry-head">
      <h3>${titled(event.type)}</h3>
      <span class="muted small">version ${event.version} · <${Time} value=${event.recorded_at} />${event.actor && html` · by <${Text} value=${event.actor} />`}</span>
    </div>
    ${states?.[0] && html`<${Summary} before=${states[0]} after=${states[1]} />`}
    <div class="entry-actions"><button type="button" class="quiet small" aria-expanded=${isOpen ? "true" : "false"} onClick=${() => setOpen(!isOpen)}>${isOpen ? "Hide what changed" : "What changed"}<span class="unseen"> in version ${event.version}</span></button>
      ${!isShown && html`<button type="button" class="quiet small" onClick=${() => onShow(event.version)}>Show this version<span class="unseen"> ${event.version}</span></button>`}</div>
    ${isOpen && html`<div class="entry-body stack">
      ${error ? html`<${ErrorBox} error=${error} />` : states ? html`<${Changes} before=${states[0]} after=${states[1]} />` : html`<${Loading} />`}
      <${Facts} rows=${facts} />
      <details><summary>Data of the event</summary><${Json} value=${withoutPersonal(event.data)} /></details>
    </div>`}
  </li>`;
}

export function Timeline({ events, past, shownVersion, onShow }) {
  const newestFirst = [...events].reverse();
  return html`<${Panel} title="History"><ol class="timeline" aria-label="Events, newest first">${newestFirst.map((event) => html`<${Entry}
    key=${event.version} event=${event} past=${past} isShown=${event.version === shownVersion} loadsNow=${events.length <= LOADED} onShow=${onShow} />`)}</ol><//>`;
}

/** The events of the order that were rejected, and why. They changed nothing. */
export function Refused({ order, round }) {
  const load = (signal) => all(`/v1/orders/${encodeURIComponent(order.order_id)}/rejections`, {}, { limit: 200, signal });
  const { data } = useLoad(load, [order.order_id, order.version, round]);
  if (!data || data.items.length === 0) return null;
  return html`<${Panel} title="Rejected events"><p class="hint">The rules refused these events, or an operator discarded them. They changed nothing.</p>
    <ul class="plain-list refused">${data.items.map((receipt) => html`<li key=${receipt.event_id}>
      <p><${Badge} tone="bad">rejected<//> <strong>${titled(receipt.type)}</strong> <span class="muted small">${words(receipt.reason ?? "")}${receipt.violation && html` · guard <code>${receipt.violation.guard}</code>`}</span></p>
      <p class="small"><${Text} value=${receipt.detail} /></p>
      <p class="muted small"><${Code} value=${receipt.event_id} /></p></li>`)}</ul>
    ${!data.isComplete && html`<p class="muted small">There are more.</p>`}
  <//>`;
}

/** The dead letters of the order. They are shown to operators only. */
export function Parked({ orderId, count }) {
  const load = (signal) => (count > 0 ? get("/v1/dead-letters", { order_id: orderId, limit: 20 }, { signal }) : Promise.resolve({ items: [] }));
  const { data, error } = useLoad(load, [orderId, count]);
  const items = data?.items ?? [];
  if (count === 0) return null;
  return html`<${Panel} title="Parked events" class="attention">
    <p>${count} event${count === 1 ? " of this order waits" : "s of this order wait"} in the dead letters. Later events of the order wait behind it.</p>
    <ul class="plain-list">${items.map((letter) => html`<li><${Badge} tone="bad">${words(letter.state)}<//> <${Link} to=${`/dead-letters/${letter.id}`}><${Text} value=${words(letter.event_type ?? "unreadable message")} /><//>
      <span class="muted small"> <${Text} value=${letter.detail} /></span></li>`)}</ul>
    ${error && html`<p class="muted small">Operators see them in the <${Link} to="/dead-letters">dead letters<//>.</p>`}
  <//>`;
}
