// What the pages of webhooks share: the state of a subscription in words, its lag, a secret that is shown once, and the fields of forms.

import { html } from "./lib.js";
import { Badge, Copy, duration, number, Text, Time } from "./ui.js";

const STATES = { active: "ok", paused: "warn", disabled: "bad" };

/** Whether a subscription delivers. An active one whose attempts all fail is no healthy one. */
export function SubscriptionState({ webhook }) {
  const isFailing = webhook.state === "active" && webhook.progress.failing_since;
  return isFailing ? html`<${Badge} tone="bad">failing<//>` : html`<${Badge} tone=${STATES[webhook.state] ?? "quiet"}>${webhook.state}<//>`;
}

/** How far a subscription is behind the feed. */
export function Lag({ progress }) {
  const { lag_events: events, lag_ms: milliseconds, held_orders: held } = progress;
  const parts = [];
  if (events) parts.push(`${number(events)} ${events === 1 ? "event" : "events"}`);
  if (milliseconds) parts.push(duration(milliseconds / 1000));
  if (parts.length === 0) parts.push(events === undefined ? "not known" : "nothing");
  return html`${parts.join(", ")}${held > 0 && html` · <span class="bad-text">${number(held)} ${held === 1 ? "order" : "orders"} held</span>`}`;
}

/** When deliveries succeeded, or since when they fail. */
export function Success({ progress }) {
  if (progress.failing_since) return html`fails since <${Time} value=${progress.failing_since} />: <${Text} value=${progress.last_error} />`;
  return progress.succeeded_at ? html`<${Time} value=${progress.succeeded_at} />` : "none yet";
}

/** A secret. The service shows it once, so the page says so. */
export function Secret({ value }) {
  return html`<div class="secret" role="status">
    <p><strong>The secret that signs deliveries.</strong> Store it now: it is not shown again. The receiver needs it to verify deliveries.</p>
    <p><code class="secret-value">${value}</code> <${Copy} text=${value} /></p>
  </div>`;
}

/** What the service says about the value of a member, by its JSON pointer. */
export function errorAt(error, pointer) {
  return error?.body?.errors?.find((item) => item.pointer === pointer || item.pointer?.startsWith(`${pointer}/`))?.detail;
}
