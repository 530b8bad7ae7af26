// The page "Dead letters": what is parked, by reason and by order, and redrives of many.

import { all } from "../api.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Link, navigate } from "../nav.js";
import { Counts, Progress, redrive, settle } from "../redrive.js";
import { Badge, Dialog, ErrorBox, Field, Loading, Page, Panel, Table, Text, Time, useLoad, words } from "../ui.js";

/** How many dead letters are listed. */
const LISTED = 1000;

const REASONS = {
  malformed: "It is not JSON, or no event: cut off, or from a producer of something else. Repair or discard it.",
  unknown_type: "Its producer is newer than this service. Deploy a version that knows the type, then redrive.",
  unknown_schema: "Its producer is newer than this service. Deploy a version that knows the schema, then redrive.",
  invalid: "Its data breaks a rule. Repair or discard it.",
  tries_exhausted: "It failed as often as it was tried, as in an outage. Correct the cause, then redrive.",
  behind_parked: "An earlier event of its order is parked. It is redriven with its sequence.",
};

/** The dead letters as sequences: those of an order in order, and each one without an order by itself. */
function sequences(letters) {
  const found = new Map();
  // The list has the newest first.
  for (const letter of [...letters].reverse()) {
    const key = letter.state === "discarded" || !letter.order_id ? `/${letter.id}` : letter.order_id;
    found.set(key, [...(found.get(key) ?? []), letter]);
  }
  return [...found.values()].reverse();
}

function Sequence({ letters }) {
  const [head] = letters;
  return html`<li class="parked-sequence">
    <div class="sequence-head">
      <${Badge} tone=${head.state === "parked" ? "bad" : head.state === "replaying" ? "info" : "quiet"}>${head.state === "parked" ? words(head.reason) : words(head.state)}<//>
      ${head.order_id ? html`<span>Order <${Link} to=${`/orders/${encodeURIComponent(head.order_id)}`}><${Text} value=${head.order_id} /><//></span>` : html`<span>Without an order</span>`}
      <span class="muted"><${Time} value=${head.parked_at} /></span>
    </div>
    <p class="detail"><${Text} value=${head.detail} /></p>
    <ol class="sequence">${letters.slice(0, 12).map((letter, index) => html`<li key=${letter.id} class=${index === 0 ? "head" : ""}>
      <${Link} to=${`/dead-letters/${encodeURIComponent(letter.id)}`}>${index === 0 && letters.length > 1 && html`<span class="mark">head</span>`}<${Text} value=${letter.event_type ? words(letter.event_type) : letter.id} /><//></li>`)}
      ${letters.length > 12 && html`<li class="muted">and ${letters.length - 12} more</li>`}</ol>
  </li>`;
}

function ByReason({ letters, onRedrive }) {
  const counts = new Map();
  for (const letter of letters.filter((letter) => letter.state === "parked")) counts.set(letter.reason, (counts.get(letter.reason) ?? 0) + 1);
  const items = Object.keys(REASONS).filter((reason) => counts.has(reason)).map((reason) => ({ reason, count: counts.get(reason) }));
  return html`<${Table} caption="Parked dead letters by reason" items=${items} itemKey=${(item) => item.reason} columns=${[
    { title: "Reason", main: true, cell: ({ reason }) => html`<${Link} to="/dead-letters" query=${{ reason }}>${words(reason)}<//>` },
    { title: "Parked", numeric: true, cell: ({ count }) => count },
    { title: "What it means", cell: ({ reason }) => REASONS[reason] },
    { title: "", cell: ({ reason, count }) => reason !== "behind_parked" && html`<button type="button" class="small"
      aria-label=${`Redrive all: ${words(reason)}`} onClick=${() => onRedrive(reason, count)}>Redrive all…</button>` },
  ]} />`;
}

/** The redrive of all dead letters of a reason: first what would happen, then sending. */
function Bulk({ reason, onClose }) {
  const [step, setStep] = useState({ name: "preview", counts: {}, items: [] });
  const [window, setWindow] = useState({ from: "", before: "" });
  const [error, setError] = useState(null);
  const abort = useRef(null);
  const time = (text) => (text ? new Date(text).toISOString() : undefined);
  const selection = { reason, parked_from: time(window.from), parked_before: time(window.before) };
  const run = async (work) => {
    abort.current?.abort();
    const { signal } = (abort.current = new AbortController());
    setError(null);
    try {
      await work(signal);
    } catch (error) {
      if (!signal.aborted) setError(error);
    }
  };
  const preview = () => run(async (signal) => {
    setStep({ name: "predicting", counts: {}, items: [] });
    const found = await redrive(selection, { dryRun: true, signal, onProgress: (progress) => setStep({ name: "predicting", ...progress }) });
    if (!signal.aborted) setStep({ name: "preview", ...found });
  });
  const send = () => run(async (signal) => {
    setStep({ name: "sending", counts: {}, items: [] });
    const sent = await redrive(selection, { dryRun: false, signal, onProgress: (progress) => setStep({ name: "sending", ...progress }) });
    await settle(sent.items, { signal, onProgress: (items) => setStep({ ...sent, name: "sent", items }) });
  });
  useEffect(() => {
    preview();
    return () => abort.current?.abort();
  }, [window.from, window.before]);
  const count = (...results) => results.reduce((sum, result) => sum + (step.counts[result] ?? 0), 0);
  const sendable = count("would_record", "already_recorded", "illegal");
  const isSent = step.name === "sending" || step.name === "sent";
  return html`<${Dialog} title=${`Redrive: ${words(reason)}`} onClose=${onClose}>
    ${!isSent && html`<p>Each selected dead letter is sent with the whole sequence of its order. Nothing is recorded twice.</p>
      <div class="filters">
        <${Field} label="Parked from">${(control) => html`<input ...${control} type="datetime-local" step="1" value=${window.from} onInput=${(event) => setWindow({ ...window, from: event.target.value })} />`}<//>
        <${Field} label="Parked before">${(control) => html`<input ...${control} type="datetime-local" step="1" value=${window.before} onInput=${(event) => setWindow({ ...window, before: event.target.value })} />`}<//>
      </div>
      <h3>What would happen</h3>
      ${step.name === "predicting" && html`<${Loading} what="Predicting" />`}
      <div aria-live="polite">${(step.name === "preview" || Object.keys(step.counts).length > 0) && html`<${Counts} counts=${step.counts} />`}</div>
      ${step.isCut && html`<p class="note">Some sequences are longer than one redrive sends. Redrive them again afterwards.</p>`}`}
    ${isSent && html`<${Counts} counts=${step.counts} /><${Progress} items=${step.items} />`}
    ${error && html`<${ErrorBox} error=${error} />`}
    <div class="buttons">
      ${!isSent && html`<button type="button" class="primary" disabled=${step.name !== "preview" || sendable === 0} onClick=${send}>Send ${sendable} back to the queue</button>`}
      <button type="button" onClick=${onClose}>${isSent ? "Close" : "Cancel"}</button>
    </div>
  <//>`;
}

function Filters({ query }) {
  const change = (name) => (event) => navigate("/dead-letters", { ...Object.fromEntries(query), [name]: event.target.value.trim() }, { replace: true });
  const select = (name, label, any, options) => html`<${Field} label=${label}>${(control) => html`<select ...${control} value=${query.get(name) ?? ""} onChange=${change(name)}>
    <option value="">${any}</option>${options.map((option) => html`<option value=${option}>${words(option)}</option>`)}</select>`}<//>`;
  return html`<div class="filters">
    ${select("reason", "Reason", "every reason", Object.keys(REASONS))}
    ${select("state", "State", "parked or replaying", ["parked", "replaying", "discarded"])}
    <${Field} label="Order id">${(control) => html`<input ...${control} value=${query.get("order_id") ?? ""} onChange=${change("order_id")} autocomplete="off" spellcheck="false" />`}<//>
  </div>`;
}

export default function DeadLetters({ query }) {
  const filter = { reason: query.get("reason"), state: query.get("state"), order_id: query.get("order_id") };
  const isFiltered = Object.values(filter).some(Boolean);
  const load = (signal) => all("/v1/dead-letters", filter, { limit: LISTED, signal });
  const { data, error, isLoading, reload } = useLoad(load, Object.values(filter), { every: 10_000 });
  const [bulk, setBulk] = useState(null);
  const parked = data ? sequences(data.items) : [];
  const close = () => {
    setBulk(null);
    reload();
  };
  return html`<${Page} title="Dead letters" subtitle="Messages that could not be processed. Nothing is lost: each waits here until somebody decides."
    actions=${html`<button type="button" onClick=${reload}>Reload</button>`}>
    ${error && html`<${ErrorBox} error=${error} />`}
    ${isLoading && !data && html`<${Loading} />`}
    ${data && !isFiltered && data.items.length === 0 && html`<${Panel} title="Nothing is parked"><p>Every message was processed.</p><p><${Link} to="/dead-letters" query=${{ state: "discarded" }}>Show what was discarded<//></p><//>`}
    ${data && !isFiltered && data.items.length > 0 && html`<${Panel} title="By reason"><${ByReason} letters=${data.items} onRedrive=${setBulk} /><//>`}
    ${data && (isFiltered || data.items.length > 0) && html`<${Panel} title="By order">
      <${Filters} query=${query} />
      ${!data.isComplete && html`<p class="note">Only the newest ${data.items.length} are shown.</p>`}
      ${parked.length === 0 && html`<p class="empty">No dead letters match.</p>`}
      <ul class="sequences">${parked.map((letters) => html`<${Sequence} key=${letters[0].id} letters=${letters} />`)}</ul>
    <//>`}
    ${bulk && html`<${Bulk} reason=${bulk} onClose=${close} />`}
  <//>`;
}
