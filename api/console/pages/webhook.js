// The page of one webhook subscription: its state, its deliveries with request and response, and what an operator can do with it.

import { all, get, post, request } from "../api.js";
import { html, useState } from "../lib.js";
import { Link, navigate } from "../nav.js";
import { errorAt, Lag, Secret, SubscriptionState, Success } from "../subscription.js";
import { Badge, Code, Dialog, ErrorBox, Facts, Field, Json, Loading, Page, Panel, Text, Time, duration, useLoad, words } from "../ui.js";

const STATES = ["retrying", "held", "gave_up", "skipped", "delivered"];
const TONES = { delivered: "ok", retrying: "warn", held: "warn", gave_up: "bad", skipped: "quiet" };

const pathOf = (id) => `/v1/webhooks/${encodeURIComponent(id)}`;

/** One attempt: whether it succeeded, and what the receiver answered. */
function Attempt({ attempt }) {
  return html`<p>${attempt.succeeded ? html`<${Badge} tone="ok">succeeded<//>` : html`<${Badge} tone="bad">failed<//>`}
      ${attempt.status ? html` status <strong>${attempt.status}</strong>` : " no answer"} after ${duration(attempt.latency_ms / 1000)}, <${Time} value=${attempt.at} /></p>
    ${attempt.error && html`<p><${Text} value=${attempt.error} /></p>`}
    ${attempt.body_excerpt && html`<pre class="json" tabindex="0"><${Text} value=${attempt.body_excerpt} /></pre>`}`;
}

/** The event of a delivery, as its order's history has it. It is read when the delivery is opened. */
async function eventOf({ order_id: order, version }, signal) {
  const { items } = await all(`/v1/orders/${encodeURIComponent(order)}/events`, {}, { limit: 2000, signal });
  return items.find((item) => item.version === version) ?? null;
}

function Delivery({ webhook, delivery, onSkip, onReplay }) {
  const [event, setEvent] = useState(null);
  const [error, setError] = useState(null);
  const open = async ({ target }) => {
    if (!target.open || event) return;
    try {
      setEvent(await eventOf(delivery));
    } catch (error) {
      setError(error);
    }
  };
  const canBeSkipped = delivery.state === "retrying" || delivery.state === "gave_up";
  const last = delivery.last_attempt;
  return html`<li><details class="delivery" onToggle=${open}>
    <summary><${Badge} tone=${TONES[delivery.state] ?? "quiet"}>${words(delivery.state)}<//> <strong>${words(delivery.event_type)}</strong>
      <span class="muted">version ${delivery.version} of <${Text} value=${delivery.order_id} /></span>
      <span class="muted">${last ? `${last.status ?? "no answer"}, ` : ""}${delivery.attempts} ${delivery.attempts === 1 ? "attempt" : "attempts"}</span></summary>
    <${Facts} rows=${[
      ["Order", html`<${Link} to=${`/orders/${encodeURIComponent(delivery.order_id)}`}><${Text} value=${delivery.order_id} /><//>`],
      ["Event id (webhook-id)", html`<${Code} value=${delivery.event_id} />`],
      ["Next attempt", delivery.next_attempt_at && html`<${Time} value=${delivery.next_attempt_at} />`],
      ["Skipped", delivery.skipped && html`<${Time} value=${delivery.skipped.at} />${delivery.skipped.by && html` by <${Text} value=${delivery.skipped.by} />`}: <${Text} value=${delivery.skipped.reason} />`],
    ]} />
    <h4>Response to the latest attempt</h4>
    ${last ? html`<${Attempt} attempt=${last} />` : html`<p class="muted">There was no attempt yet.</p>`}
    <h4>Request</h4>
    <pre class="json" tabindex="0">POST <${Text} value=${webhook.url} />${"\n"}content-type: application/cloudevents+json${"\n"}webhook-id: ${delivery.event_id}${"\n"}webhook-timestamp, webhook-signature: made for each attempt${Object.keys(webhook.headers).map((name) =>
      html`${"\n"}<${Text} value=${name} />: ••••••••`)}</pre>
    <p class="muted small">The body's <code>data</code>, as the history of the order has it:</p>
    ${event ? html`<${Json} value=${event} />` : error ? html`<${ErrorBox} error=${error} />` : html`<${Loading} />`}
    <div class="buttons">
      <button type="button" onClick=${() => onReplay(delivery.order_id)}>Deliver this order again</button>
      ${canBeSkipped && html`<button type="button" class="danger" onClick=${() => onSkip(delivery)}>Skip…</button>`}
    </div>
  </details></li>`;
}

/** A dialog with a form: `fields` draws its fields, and `act` sends them. `fields` gets the last error. */
function Action({ title, button, danger = false, act, onDone, onClose, fields }) {
  const [error, setError] = useState(null);
  const [isBusy, setIsBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setIsBusy(true);
    setError(null);
    try {
      onDone(await act(new FormData(event.target)));
    } catch (error) {
      setError(error);
      setIsBusy(false);
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose}><form onSubmit=${submit}>
    ${fields(error)}
    ${error && html`<${ErrorBox} error=${error} />`}
    <div class="buttons"><button type="submit" class=${danger ? "danger" : "primary"} disabled=${isBusy}>${button}</button><button type="button" onClick=${onClose}>Cancel</button></div>
  </form><//>`;
}

function Rotate({ webhook, onDone, onClose }) {
  const act = (form) => post(`${pathOf(webhook.id)}/rotate`, { overlap_seconds: Number(form.get("overlap")) }, { headers: { "if-match": `"${webhook.revision}"` } });
  return html`<${Action} title="Rotate the secret" button="Rotate the secret" act=${act} onDone=${onDone} onClose=${onClose} fields=${() => html`
    <p>The service makes a new secret, and shows it once. Until the overlap ends, deliveries are signed with both, so that the receiver can change to the new one.</p>
    <${Field} label="Earlier secrets stay valid for">${(control) => html`<select ...${control} name="overlap"><option value="86400">one day</option><option value="604800">a week</option>
      <option value="3600">an hour</option><option value="0">no time: they have leaked</option></select>`}<//>`} />`;
}

function Replay({ webhook, onDone, onClose }) {
  const [from, setFrom] = useState("time");
  const act = (form) => post(`${pathOf(webhook.id)}/replay`, from === "order" ? { order_id: form.get("value").trim() } : { from: from === "oldest" ? "oldest" : new Date(form.get("value")).toISOString() });
  return html`<${Action} title="Deliver events again" button="Deliver again" act=${act} onDone=${onDone} onClose=${onClose} fields=${(error) => html`
    <p>Receivers recognize repeated events by their <code>webhook-id</code>. Deliveries that were given up are tried again too.</p>
    <${Field} label="Which events">${(control) => html`<select ...${control} value=${from} onChange=${(event) => setFrom(event.target.value)}>
      <option value="time">Recorded since a time</option><option value="order">All of an order</option><option value="oldest">All</option></select>`}<//>
    ${from === "time" && html`<${Field} label="Recorded since" error=${errorAt(error, "/from")}>${(control) => html`<input ...${control} name="value" type="datetime-local" step="1" required />`}<//>`}
    ${from === "order" && html`<${Field} label="Order id" error=${errorAt(error, "/order_id")}>${(control) => html`<input ...${control} name="value" required autocomplete="off" spellcheck="false" />`}<//>`}`} />`;
}

function Skip({ webhook, delivery, onDone, onClose }) {
  const act = (form) => post(`${pathOf(webhook.id)}/deliveries/${delivery.event_id}/skip`, { reason: form.get("reason") });
  return html`<${Action} title="Skip the delivery" button="Skip" danger act=${act} onDone=${onDone} onClose=${onClose} fields=${() => html`
    <p>This receiver will not get the event, and the later events of its order are delivered. A replay delivers it after all.</p>
    <${Field} label="Reason" hint="It is recorded with your name.">${(control) => html`<textarea ...${control} name="reason" rows="3" required maxlength="500"></textarea>`}<//>`} />`;
}

function Delete({ webhook, onDone, onClose }) {
  const act = () => request("DELETE", pathOf(webhook.id));
  return html`<${Action} title="Delete the subscription" button="Delete" danger act=${act} onDone=${onDone} onClose=${onClose} fields=${() => html`
    <p>The subscription is deleted with its deliveries, including those that were to be tried again. This cannot be undone.</p>`} />`;
}

function Deliveries({ webhook, deliveries, state, onState, onSkip, onReplay }) {
  return html`<${Panel} title="Deliveries" actions=${html`<label>State <select class="inline" value=${state} onChange=${(event) => onState(event.target.value)}>
      <option value="">every state</option>${STATES.map((name) => html`<option value=${name}>${words(name)}</option>`)}</select></label>`}>
    <p class="muted small">Failed deliveries come first. Of those that succeeded, only recent ones are kept.</p>
    ${deliveries.items.length === 0 && html`<p class="empty">No deliveries.</p>`}
    <ul class="deliveries">${deliveries.items.map((delivery) => html`<${Delivery} key=${`${delivery.event_id}`} webhook=${webhook} delivery=${delivery} onSkip=${onSkip} onReplay=${onReplay} />`)}</ul>
    ${deliveries.next_cursor && html`<p class="muted">There are more.</p>`}
  <//>`;
}

export default function Webhook({ id }) {
  const [state, setState] = useState("");
  const load = async (signal) => {
    const [webhook, deliveries] = await Promise.all([get(pathOf(id), {}, { signal }), get(`${pathOf(id)}/deliveries`, { state, limit: 100 }, { signal })]);
    return { webhook, deliveries };
  };
  const { data, error, reload } = useLoad(load, [id, state], { every: 2000 });
  const [dialog, setDialog] = useState(null);
  const [secret, setSecret] = useState(null);
  const [tested, setTested] = useState(null);
  const [failure, setFailure] = useState(null);
  const act = async (work) => {
    setFailure(null);
    try {
      await work();
      reload();
    } catch (error) {
      setFailure(error);
    }
  };
  const webhook = data?.webhook;
  const test = () => act(async () => {
    setTested("running");
    try {
      setTested(await post(`${pathOf(id)}/test`));
    } catch (error) {
      setTested(null);
      throw error;
    }
  });
  const isOn = webhook?.state === "active";
  const pause = () => act(() => request("PATCH", pathOf(id), { body: { paused: isOn }, headers: { "if-match": `"${webhook.revision}"` } }));
  const replayOrder = (order) => act(() => post(`${pathOf(id)}/replay`, { order_id: order }));
  const done = () => {
    setDialog(null);
    reload();
  };
  const close = () => setDialog(null);
  const actions = webhook && html`<button type="button" onClick=${test} disabled=${tested === "running"}>Test</button>
    <button type="button" onClick=${pause}>${isOn ? "Pause" : "Resume"}</button>
    <button type="button" onClick=${() => setDialog("replay")}>Replay…</button>
    <button type="button" onClick=${() => setDialog("rotate")}>Rotate the secret…</button>
    <button type="button" class="danger" onClick=${() => setDialog("delete")}>Delete…</button>`;
  return html`<${Page} title="Webhook subscription" subtitle=${webhook && html`<${Text} value=${webhook.description ?? webhook.url} />`} actions=${actions}>
    ${error && html`<${ErrorBox} error=${error} />`}
    ${failure && html`<${ErrorBox} error=${failure} />`}
    ${!data && !error && html`<${Loading} />`}
    ${secret && html`<${Panel} title="The new secret" actions=${html`<button type="button" onClick=${() => setSecret(null)}>It is stored: hide it</button>`}><${Secret} value=${secret} /><//>`}
    ${tested && html`<${Panel} title="Test"><div role="status">${tested === "running" ? html`<${Loading} what="Posting a test event" />` : html`<${Attempt} attempt=${tested} />`}</div><//>`}
    ${webhook && html`<${Panel} title="State"><${Facts} rows=${[
      ["State", html`<${SubscriptionState} webhook=${webhook} />${webhook.stopped && html` <${Text} value=${webhook.stopped.reason} />, <${Time} value=${webhook.stopped.at} />`}`],
      ["Behind by", html`<${Lag} progress=${webhook.progress} />`],
      ["Last success", html`<${Success} progress=${webhook.progress} />`],
      ["URL", html`<${Text} value=${webhook.url} />`],
      ["Event types", webhook.types.length === 0 ? "all" : webhook.types.map(words).join(", ")],
      ["Customer", webhook.customer_id && html`<${Text} value=${webhook.customer_id} />`],
      ["Headers", Object.keys(webhook.headers).length > 0 && Object.keys(webhook.headers).map((name) => html`<div><${Code} value=${name} />: ••••••••</div>`)],
      ["Secrets", webhook.secrets.map((secret) => html`<div>${secret.expires_at ? html`valid until <${Time} value=${secret.expires_at} />` : "the newest one does not expire"}</div>`)],
      ["Created", html`<${Time} value=${webhook.created_at} />`],
    ]} /><//>
    <${Deliveries} webhook=${webhook} deliveries=${data.deliveries} state=${state} onState=${setState} onReplay=${replayOrder} onSkip=${(delivery) => setDialog({ delivery })} />`}
    ${dialog === "rotate" && html`<${Rotate} webhook=${webhook} onClose=${close} onDone=${(rotated) => { setSecret(rotated.secret); done(); }} />`}
    ${dialog === "replay" && html`<${Replay} webhook=${webhook} onClose=${close} onDone=${done} />`}
    ${dialog === "delete" && html`<${Delete} webhook=${webhook} onClose=${close} onDone=${() => navigate("/webhooks")} />`}
    ${dialog?.delivery && html`<${Skip} webhook=${webhook} delivery=${dialog.delivery} onClose=${close} onDone=${done} />`}
  <//>`;
}
