// Redrives of dead letters: what would happen, sending them, and what became of them. The pages of dead letters use it.

import { all, get, post, sleep } from "./api.js";
import { html } from "./lib.js";
import { Badge, Status, Text, words } from "./ui.js";

/** How often the progress is read, in milliseconds. */
const EVERY = 500;
/** For how many dead letters the outcomes are read one by one. */
const MAX_OUTCOMES = 200;

const MEANINGS = {
  would_record: { tone: "ok", say: ({ version }) => `Would be recorded as version ${version}` },
  already_recorded: { tone: "info", say: ({ version }) => `Is recorded already, as version ${version}; a redrive changes nothing` },
  illegal: { tone: "bad", say: () => "Would be rejected" },
  unreadable: { tone: "bad", say: () => "Cannot be read" },
  behind: { tone: "warn", say: () => "Would stay parked" },
  replayed_too_often: { tone: "bad", say: () => "Was replayed too often" },
  discarded: { tone: "quiet", say: () => "Is discarded" },
  not_predicted: { tone: "quiet", say: () => "Is too far back to predict" },
  sent: { tone: "info", say: () => "On the queue" },
  gone: { tone: "quiet", say: () => "Is no dead letter any more" },
  failed: { tone: "bad", say: () => "Could not be sent" },
};

/** A prediction or a result, as a badge and a sentence. */
export function Prediction({ value }) {
  const meaning = MEANINGS[value.result] ?? { tone: "quiet", say: () => words(value.result) };
  return html`<${Badge} tone=${meaning.tone}>${meaning.say(value)}<//>${value.detail && html` <${Text} value=${value.detail} />`}`;
}

/** The number of dead letters with each result, as a list. */
export function Counts({ counts }) {
  const entries = Object.entries(counts);
  if (entries.length === 0) return html`<p class="empty">No dead letters are selected.</p>`;
  return html`<ul class="counts">${entries.map(([result, count]) => html`<li><strong>${count}</strong> ${countWords(result, count)}</li>`)}</ul>`;
}

function countWords(result, count) {
  const be = count === 1 ? "is" : "are";
  return {
    would_record: "would be recorded",
    already_recorded: `${be} recorded already; they change nothing`,
    illegal: "would be rejected: the order does not allow the event now",
    unreadable: "still cannot be read, and would stay",
    behind: "would stay, because an earlier event of the order stays",
    replayed_too_often: "were replayed 5 times without success, and would stay",
    discarded: `${be} discarded, and would stay`,
    not_predicted: `${be} too far back to predict`,
    sent: "sent",
    gone: "were gone already",
    failed: "could not be sent",
  }[result] ?? words(result);
}

/**
 * Sends one selection page by page. Calls `onProgress` with `{ counts, items }` after each page, and returns the last. `items` has the
 * first results, at most `MAX_OUTCOMES`.
 */
export async function redrive(selection, { dryRun, signal, onProgress = () => {} }) {
  let progress = { counts: {}, items: [] };
  let cursor;
  let body;
  do {
    body = await post("/v1/dead-letters/redrive", { ...selection, dry_run: dryRun, cursor }, { signal });
    const counts = { ...progress.counts };
    for (const [result, count] of Object.entries(body.counts)) counts[result] = (counts[result] ?? 0) + count;
    progress = { counts, items: [...progress.items, ...body.items].slice(0, MAX_OUTCOMES), isCut: body.lines_cut };
    onProgress(progress);
    cursor = body.next_cursor;
  } while (cursor && !signal.aborted);
  return progress;
}

/**
 * Waits until no dead letter of the items is on the queue. Calls `onProgress` with the items, each with `outcome`: `sent`, `recorded`,
 * `rejected`, `parked` or `gone`, and with `version` or `detail`. `orderId` limits what is read to one order.
 */
export async function settle(items, { orderId, signal, onProgress }) {
  let current = items;
  while (!signal.aborted) {
    const { items: replaying } = await all("/v1/dead-letters", { order_id: orderId, state: "replaying" }, { limit: 2000, signal });
    const queued = new Set(replaying.map((letter) => letter.id));
    const found = [];
    for (const item of current) found.push(await outcome(item, queued, signal));
    current = found;
    onProgress(current);
    if (current.every((item) => item.outcome !== "sent")) return current;
    await sleep(EVERY, signal);
  }
  return current;
}

async function outcome(item, queued, signal) {
  if (item.result !== "sent" || (item.outcome && item.outcome !== "sent")) return item;
  if (queued.has(item.id)) return { ...item, outcome: "sent" };
  const receipt = item.order_id && item.event_id && await found(`/v1/orders/${encodeURIComponent(item.order_id)}/events/${item.event_id}`, signal);
  if (receipt) return { ...item, outcome: receipt.state === "accepted" ? "sent" : receipt.state, version: receipt.version, detail: receipt.detail };
  const letter = await found(`/v1/dead-letters/${encodeURIComponent(item.id)}`, signal);
  return { ...item, outcome: letter ? (letter.state === "replaying" ? "sent" : "parked") : "gone", detail: letter?.detail };
}

/** What is at a path of the API, or null. */
async function found(path, signal) {
  try {
    return await get(path, {}, { signal });
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

/** How far a redrive is, with the outcome of each dead letter. */
export function Progress({ items }) {
  const sent = items.filter((item) => item.result === "sent");
  const done = sent.filter((item) => item.outcome && item.outcome !== "sent");
  return html`<div class="stack-small">
    <p role="status">${done.length === sent.length ? "Finished" : "On its way"}: ${done.length} of ${sent.length} sent ${sent.length === 1 ? "event has" : "events have"} an outcome.</p>
    <progress max=${Math.max(sent.length, 1)} value=${done.length} aria-label="Events with an outcome"></progress>
    <ol class="outcomes">${items.map((item) => html`<li key=${item.id}><code>${item.event_type ? words(item.event_type) : item.id}</code> ${outcomeOf(item)}</li>`)}</ol>
  </div>`;
}

function outcomeOf(item) {
  if (item.result !== "sent") return html`<${Prediction} value=${item} />`;
  if (!item.outcome || item.outcome === "sent") return html`<${Badge} tone="info">on the queue<//>`;
  if (item.outcome === "recorded") return html`<${Badge} tone="ok">recorded as version ${item.version}<//>`;
  if (item.outcome === "gone") return html`<${Badge} tone="ok">done<//>`;
  return html`<${Status} value=${item.outcome} /> <${Text} value=${item.detail} />`;
}
