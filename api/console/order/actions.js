// What can happen to an order now: a form for each event that is legal, sent with the version that the page shows. The page of an
// order shows it.

import { get, newKey, request } from "../api.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Code, ErrorBox, Json, Loading, Panel, Status, Text, titled, useLoad, words } from "../ui.js";
import { Fields } from "./fields.js";
import { dataSchema, openapi, pruned } from "./schema.js";

/** The events in the order in which people need them: what moves the order on comes first. */
const ORDER = ["order_confirmed", "order_paid", "order_payment_authorized", "order_shipped", "order_delivered", "order_return_requested",
  "order_returned", "order_refunded", "order_held", "order_released", "order_payment_voided", "order_annotated", "order_amended", "order_cancelled"];

/** Values that the form begins with, because they are usually right. They can be changed. */
function usual(type, order) {
  const { captured, refunded, balance } = order.money;
  const open = order.payments.find((payment) => !payment.voided && (payment.authorized ?? 0) > payment.captured);
  switch (type) {
    case "order_paid": return { payment_id: open?.payment_id, amount: open ? open.authorized - open.captured : Math.max(balance, 0) };
    case "order_payment_authorized": return { amount: Math.max(balance, 0) };
    case "order_refunded": return { amount: balance < 0 ? Math.min(-balance, captured - refunded) : captured - refunded };
    default: return {};
  }
}

/** Texts of the order that fit a member of the data, by the name of the member. */
function suggestionsOf(order) {
  return {
    payment_id: order.payments.map((payment) => payment.payment_id),
    shipment_id: order.shipments.filter((item) => item.state === "shipped").map((item) => item.shipment_id),
    return_id: order.returns.filter((item) => item.state === "requested").map((item) => item.return_id),
    hold: order.holds.map((hold) => hold.hold),
    carrier: [...new Set(order.shipments.map((item) => item.carrier))],
  };
}

/** The lists that an amendment replaces as a whole, as its data contains them. */
function presentOf(order) {
  const line = ({ line_id, sku, name, quantity, unit_price }) => ({ line_id, sku, name, quantity, unit_price });
  return { items: order.items.map(line), adjustments: order.adjustments };
}

/** The errors of a problem by the path of the member: `/data/items/0/sku` is `items.0.sku`. */
function errorsByPath(error) {
  const list = error?.body?.errors ?? [];
  return Object.fromEntries(list.map((item) => [(item.pointer ?? "").replace(/^\/data\//, "").replaceAll("/", "."), item.detail ?? item.message]));
}

export function Actions({ order, onAnswered }) {
  const [type, setType] = useState(null);
  const [answer, setAnswer] = useState(null);
  const legal = ORDER.filter((name) => order.allowed_events.includes(name));
  const others = order.allowed_events.filter((name) => !ORDER.includes(name) && name !== "order_created");
  const choose = (name) => {
    setAnswer(null);
    setType(type === name ? null : name);
  };
  const onAnswer = (answer) => {
    setAnswer(answer);
    if (answer.isDone) {
      setType(null);
      onAnswered();
    }
  };
  return html`<${Panel} title="What can happen now">
    ${legal.length === 0 && html`<p class="empty">No event is legal now.</p>`}
    <div class="choices">${[...legal, ...others].map((name) => html`<button type="button" key=${name} aria-expanded=${type === name ? "true" : "false"} onClick=${() => choose(name)}>${titled(name)}</button>`)}</div>
    ${type && html`<${EventForm} key=${type} type=${type} order=${order} onAnswer=${onAnswer} onRefused=${onAnswered} />`}
    <div aria-live="polite">${answer && html`<${Answer} ...${answer} />`}</div>
  <//>`;
}

function EventForm({ type, order, onAnswer, onRefused }) {
  const { data: document, error: unavailable } = useLoad(() => openapi(), []);
  const [data, setData] = useState(() => usual(type, order));
  const [error, setError] = useState(null);
  const [isSending, setSending] = useState(false);
  const key = useRef(newKey());
  const form = useRef(null);
  useEffect(() => form.current?.querySelector("input, select, textarea, button")?.focus(), [document]);
  if (unavailable) return html`<${ErrorBox} error=${unavailable} />`;
  if (!document) return html`<${Loading} what="Loading the form" />`;
  const schema = dataSchema(document, type);
  const body = { type, ...(schema ? { data: pruned(data) ?? {} } : {}) };
  const change = (value) => {
    // Other content is another request.
    key.current = newKey();
    setData(value);
  };
  const send = async (event) => {
    event.preventDefault();
    setSending(true);
    setError(null);
    const headers = { "if-match": `"${order.version}"`, "idempotency-key": `"${key.current}"`, prefer: "wait=10" };
    try {
      const { status, body: answer } = await request("POST", `/v1/orders/${order.order_id}/events`, { headers, body });
      onAnswer({ status, body: answer, type, isDone: true });
    } catch (error) {
      setError(error);
      setSending(false);
      onRefused();
      if (error.status >= 400 && error.status < 500) key.current = newKey();
    }
  };
  const context = { document, order, suggestions: suggestionsOf(order), present: presentOf(order), errors: errorsByPath(error) };
  return html`<form ref=${form} class="event-form" aria-label=${`Propose: ${words(type)}`} onSubmit=${send}>
    ${schema ? html`<${Fields} context=${context} schema=${schema} value=${data} onChange=${change} />` : html`<p class="muted">This event has no data.</p>`}
    ${error && html`<${ErrorBox} error=${error} />`}
    ${error?.status === 412 && html`<p class="note">The order changed since the page showed it. The page shows the new version now: check it, and send again.</p>`}
    <div class="buttons"><button type="submit" class="primary" disabled=${isSending}>${isSending ? "Sending…" : `Propose ${words(type)}`}</button></div>
    <p class="hint">Recorded only if the order is still at version ${order.version}.</p>
    <details><summary>Request</summary><${Json} value=${body} /></details>
  </form>`;
}

/** The answer to a proposal. An event whose outcome is open is asked for until it is known. */
function Answer({ status, body, type }) {
  const [receipt, setReceipt] = useState(body.object === "receipt" ? body : null);
  useEffect(() => {
    if (!receipt || receipt.state !== "accepted") return undefined;
    const abort = new AbortController();
    get(receipt.links.self, {}, { signal: abort.signal, headers: { prefer: "wait=20" } }).then(setReceipt, () => {});
    return () => abort.abort();
  }, [receipt]);
  if (!receipt) return html`<p class="note" role="status"><strong>${titled(type)}</strong> was recorded as version ${body.version}. The order is <${Status} value=${body.status} />.</p>`;
  return html`<div class="note" role="status"><p><strong>${titled(type)}</strong>: <${Status} value=${receipt.state} /> <span class="muted small">(answer ${status})</span></p>
    ${receipt.detail && html`<p><${Text} value=${receipt.detail} /></p>`}<p class="small muted">Receipt of <${Code} value=${receipt.event_id} /></p></div>`;
}
