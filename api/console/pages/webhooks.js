// The page "Webhooks": the subscriptions with their lag and success, and a form for a new one.

import { get, newKey, post } from "../api.js";
import { html, useRef, useState } from "../lib.js";
import { Link } from "../nav.js";
import { errorAt, Lag, Secret, SubscriptionState, Success } from "../subscription.js";
import { Dialog, ErrorBox, Field, Loading, Page, Panel, Table, Text, useLoad, words } from "../ui.js";

function NewSubscription({ onClose }) {
  const [values, setValues] = useState({ url: "", description: "", types: "", customer_id: "", from: "latest" });
  const [created, setCreated] = useState(null);
  const [error, setError] = useState(null);
  const key = useRef(newKey());
  const change = (name) => (event) => {
    key.current = newKey();
    setValues({ ...values, [name]: event.target.value });
  };
  const submit = async (event) => {
    event.preventDefault();
    setError(null);
    const { types, ...rest } = values;
    const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== ""));
    const body = { ...given, types: types.split(/[\s,]+/).filter(Boolean) };
    try {
      setCreated(await post("/v1/webhooks", body, { headers: { "idempotency-key": key.current } }));
    } catch (error) {
      setError(error);
    }
  };
  const text = (name, label, hint, rest = {}) => html`<${Field} label=${label} hint=${hint} error=${errorAt(error, `/${name}`)}>${(control) =>
    html`<input ...${control} ...${rest} value=${values[name]} onInput=${change(name)} autocomplete="off" spellcheck="false" />`}<//>`;
  if (created) {
    return html`<${Dialog} title="The subscription is created" onClose=${onClose}>
      ${created.secret ? html`<${Secret} value=${created.secret} />` : html`<p>Its secret was shown by an earlier answer. If it is lost, rotate it.</p>`}
      <div class="buttons"><${Link} class="button" to=${`/webhooks/${created.id}`}>Show the subscription<//><button type="button" onClick=${onClose}>Close</button></div>
    <//>`;
  }
  return html`<${Dialog} title="Add a subscription" onClose=${onClose}>
    <form onSubmit=${submit}>
      ${text("url", "URL", "Recorded events are posted to it: https, or http if the service allows private addresses.", { required: true, inputmode: "url" })}
      ${text("description", "Description", "For people.")}
      ${text("types", "Event types", "With spaces between them, such as order_paid order_shipped. Empty: all types.")}
      ${text("customer_id", "Customer id", "Only events of this customer's orders. Empty: all customers.")}
      ${text("from", "Begin at", "latest, oldest, or a time such as 2026-11-23T10:00:00Z.")}
      ${error && html`<${ErrorBox} error=${error} />`}
      <div class="buttons"><button type="submit" class="primary">Add the subscription</button><button type="button" onClick=${onClose}>Cancel</button></div>
    </form>
  <//>`;
}

export default function Webhooks() {
  const { data, error, isLoading, reload } = useLoad((signal) => get("/v1/webhooks", {}, { signal }), [], { every: 5000 });
  const [isAdding, setIsAdding] = useState(false);
  const close = () => {
    setIsAdding(false);
    reload();
  };
  return html`<${Page} title="Webhooks" subtitle="Receivers that recorded events are posted to, the events of each order in order."
    actions=${html`<button type="button" class="primary" onClick=${() => setIsAdding(true)}>Add a subscription…</button>`}>
    ${error && html`<${ErrorBox} error=${error} />`}
    ${isLoading && !data && html`<${Loading} />`}
    ${data && html`<${Panel} title="Subscriptions">
      <${Table} caption="Webhook subscriptions" items=${data.items} itemKey=${(item) => item.id} empty="Nobody has subscribed." columns=${[
        { title: "Receiver", main: true, cell: (item) => html`<div><${Link} to=${`/webhooks/${item.id}`}><${Text} value=${item.description ?? item.url} /><//>${item.description && html`<div class="muted small"><${Text} value=${item.url} /></div>`}</div>` },
        { title: "State", cell: (item) => html`<${SubscriptionState} webhook=${item} />` },
        { title: "Behind by", cell: (item) => html`<span><${Lag} progress=${item.progress} /></span>` },
        { title: "Last success", cell: (item) => html`<span><${Success} progress=${item.progress} /></span>` },
        { title: "Events", cell: (item) => html`<span>${item.types.length === 0 ? "all types" : item.types.map(words).join(", ")}${item.customer_id && html` of <${Text} value=${item.customer_id} />`}</span>` },
      ]} />
    <//>`}
    ${isAdding && html`<${NewSubscription} onClose=${close} />`}
  <//>`;
}
