// The page that finds orders, and shows what is recorded now.

import { follow, get } from "../api.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Link, navigate } from "../nav.js";
import { Badge, Code, ErrorBox, Field, Loading, money, Page, Panel, Status, Table, Text, Time, titled, useLoad, words } from "../ui.js";

const STATUSES = ["pending", "confirmed", "paid", "partially_shipped", "shipped", "delivered", "returned", "cancelled", "refunded"];
const PAYMENTS = ["unpaid", "authorized", "partially_paid", "paid", "overpaid", "partially_refunded", "refunded"];
const FULFILMENTS = ["unfulfilled", "partially_shipped", "shipped", "partially_delivered", "delivered", "partially_returned", "returned"];
const FILTERS = ["q", "status", "payment_status", "fulfilment_status", "created_from", "created_before"];
const PAGE = 25;

export default function Orders({ query }) {
  const asked = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ""]));
  return html`<${Page} title="Orders">
    <${Search} key=${query.toString()} asked=${asked} />
    <div class="columns wide-left">
      <${Results} asked=${asked} />
      <${Live} />
    </div>
  <//>`;
}

function Search({ asked }) {
  const [form, setForm] = useState(asked);
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const submit = (event) => {
    event.preventDefault();
    navigate("/orders", { ...form, q: form.q.trim() });
  };
  const choice = (name, label, values) => html`<${Field} label=${label}>${(control) => html`<select ...${control} value=${form[name]} onChange=${set(name)}>
    <option value="">any</option>${values.map((value) => html`<option value=${value}>${words(value)}</option>`)}</select>`}<//>`;
  const time = (name, label) => html`<${Field} label=${label}>${(control) => html`<input ...${control} type="datetime-local" value=${form[name]} onInput=${set(name)} />`}<//>`;
  const isFiltered = FILTERS.slice(1).some((name) => form[name]);
  return html`<form class="panel search" role="search" onSubmit=${submit}>
    <div class="search-line">
      <${Field} label="Order id, reference or customer">${(control) => html`<input ...${control} type="search" maxlength="128" autocomplete="off" spellcheck="false"
        placeholder="WEB-2026-1007" value=${form.q} onInput=${set("q")} />`}<//>
      <button type="submit" class="primary">Find</button>
    </div>
    <details open=${isFiltered}><summary>Filters</summary><div class="filters">
      ${choice("status", "Status", STATUSES)}${choice("payment_status", "Payment", PAYMENTS)}${choice("fulfilment_status", "Fulfilment", FULFILMENTS)}
      ${time("created_from", "Created from")}${time("created_before", "Created before")}
    </div></details>
  </form>`;
}

/** A time of a form field, which has no offset, as the API takes it. */
function offsetTime(value) {
  const date = new Date(value);
  return value && !Number.isNaN(date.getTime()) ? date.toISOString() : undefined;
}

/** The orders that a text names: as an id, as a reference, or as a customer. A text that cannot be one of them finds none. */
async function named(text, filters, signal) {
  const none = (error) => {
    if ([400, 404].includes(error.status)) return { items: [], next_cursor: null };
    throw error;
  };
  const [byReference, byCustomer] = await Promise.all([
    get("/v1/orders", { ...filters, reference: text }, { signal }).catch(none),
    get("/v1/orders", { ...filters, customer_id: text, limit: PAGE }, { signal }).catch(none),
  ]);
  if (byReference.items.length + byCustomer.items.length === 0 && /^[A-Za-z0-9_-]{1,64}$/.test(text)) {
    return get(`/v1/orders/${text}`, {}, { signal }).then((order) => ({ items: [order], next_cursor: null }), none);
  }
  const seen = new Set(byReference.items.map((found) => found.order_id));
  return { items: [...byReference.items, ...byCustomer.items.filter((found) => !seen.has(found.order_id))], next_cursor: byCustomer.next_cursor };
}

/** Pages until there are some orders, because a page of a rare status may be empty. */
async function some(filters, cursor, signal) {
  const items = [];
  let next = cursor;
  do {
    const page = await get("/v1/orders", { ...filters, limit: PAGE, cursor: next }, { signal });
    items.push(...page.items);
    next = page.next_cursor;
  } while (next && items.length < PAGE && !signal?.aborted);
  return { items, next_cursor: next };
}

function Results({ asked }) {
  const { q, created_from, created_before, ...statuses } = asked;
  const filters = { ...statuses, created_from: offsetTime(created_from), created_before: offsetTime(created_before) };
  const { data, error, isLoading } = useLoad((signal) => (q ? named(q, filters, signal) : some(filters, undefined, signal)), [JSON.stringify(asked)]);
  const [more, setMore] = useState({ items: [], cursor: null, error: null });
  useEffect(() => setMore({ items: [], cursor: data?.next_cursor ?? null, error: null }), [data]);
  const load = async () => {
    try {
      const page = await some(q ? { ...filters, customer_id: q } : filters, more.cursor);
      setMore({ items: [...more.items, ...page.items], cursor: page.next_cursor, error: null });
    } catch (error) {
      setMore({ ...more, error });
    }
  };
  const isSearch = Object.values(asked).some(Boolean);
  let content;
  if (error?.status === 403) {
    content = html`<p class="note">The token may not list the orders of all customers. Find an order by its id or reference, or the orders of a customer.</p>`;
  } else if (error) {
    content = html`<${ErrorBox} error=${error} />`;
  } else if (isLoading || !data) {
    content = html`<${Loading} what="Looking for orders" />`;
  } else {
    const items = [...data.items, ...more.items];
    content = html`<p class="unseen" role="status">${items.length} orders shown</p>
      <${OrderTable} items=${items} empty=${isSearch ? "No order has this id, reference or customer, with these filters." : "There are no orders yet."} />
      ${more.error && html`<${ErrorBox} error=${more.error} />`}
      ${more.cursor && html`<div class="buttons"><button type="button" onClick=${load}>Show more</button></div>`}`;
  }
  return html`<${Panel} title=${isSearch ? "Found" : "Newest orders"}>${content}<//>`;
}

const COLUMNS = [
  { title: "Order", main: true, cell: (order) => html`<${Link} to=${`/orders/${order.order_id}`}><${Text} value=${order.reference ?? order.order_id} /><//>` },
  { title: "Customer", cell: (order) => html`<${Link} to="/orders" query=${{ q: order.customer_id }} class="plain"><${Text} value=${order.customer_id} /><//>` },
  { title: "Status", cell: (order) => html`<span class="badges"><${Status} value=${order.status} />${order.parked > 0 && html`<${Badge} tone="bad">${order.parked} parked<//>`}</span>` },
  { title: "Payment", cell: (order) => words(order.payment_status) },
  { title: "Total", numeric: true, cell: (order) => money(order.total, order.currency) },
  { title: "Created", cell: (order) => html`<${Time} value=${order.created_at} />` },
];

function OrderTable({ items, empty }) {
  return html`<${Table} caption="Orders" columns=${COLUMNS} items=${items} itemKey=${(order) => order.order_id} empty=${empty} />`;
}

const SHOWN = 40;
const STATES = { live: ["ok", "live"], connecting: ["warn", "connecting"], ended: ["quiet", "not available"], paused: ["quiet", "paused"] };

/** What is recorded now, newest first. */
function Live() {
  const [events, setEvents] = useState([]);
  const [state, setState] = useState("connecting");
  const [isPaused, setPaused] = useState(false);
  const key = useRef(0);
  useEffect(() => {
    if (isPaused) return undefined;
    const abort = new AbortController();
    const onEvents = (items, isBehind) => {
      const added = items.map((event) => ({ event, key: (key.current += 1) })).reverse();
      if (isBehind) added.push({ gap: true, key: (key.current += 1) });
      setEvents((events) => [...added, ...events].slice(0, SHOWN));
    };
    follow({ onEvents, onState: setState, signal: abort.signal });
    return () => abort.abort();
  }, [isPaused]);
  const turn = () => {
    // What was true before the pause is not known to be true after it.
    setState("connecting");
    setPaused(!isPaused);
  };
  const [tone, word] = STATES[isPaused ? "paused" : state];
  const actions = html`<${Badge} tone=${tone}>${word}<//>${state !== "ended" && html`<button type="button" class="quiet small" onClick=${turn}>${isPaused ? "Resume" : "Pause"}</button>`}`;
  return html`<${Panel} title="Recorded now" actions=${actions} class="live">
    ${events.length === 0 ? html`<p class="empty">Events appear here as they are recorded.</p>` : html`<ol class="live-list" aria-label="Events, newest first">${events.map(({ event, gap, key }) =>
      gap ? html`<li key=${key} class="muted small">Events in between are not shown: there are too many.</li>` : html`<li key=${key}>
        <span class="live-what"><strong>${titled(event.type)}</strong> <span class="muted small">v${event.version}</span></span>
        <${Link} to=${`/orders/${event.data.order_id}`}><${Code} value=${event.data.order_id} /><//>
        <span class="muted small"><${Time} value=${event.recorded_at} /></span></li>`)}</ol>`}
  <//>`;
}
