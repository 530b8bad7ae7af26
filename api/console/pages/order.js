// The page of one order: its state now or at any earlier version, its history, and what can happen to it.

import { Actions } from "../order/actions.js";
import { Diagram } from "../order/diagram.js";
import { About, Contact, Lines, Money, Parcels } from "../order/parts.js";
import { useOrder, usePast } from "../order/states.js";
import { Parked, Refused, Timeline } from "../order/timeline.js";
import { html, useEffect, useState } from "../lib.js";
import { Link, navigate } from "../nav.js";
import { Badge, Code, Copy, ErrorBox, Loading, Page, Status, Text, Time, words } from "../ui.js";

export default function OrderPage({ orderId, query }) {
  const { order, events, error, refresh } = useOrder(orderId);
  const past = usePast(orderId, order);
  const [proposals, setProposals] = useState(0);
  const asked = Number(query.get("version")) || null;
  const version = order && asked && asked < order.version ? asked : null;
  const [earlier, setEarlier] = useState({ order: null, error: null });
  useEffect(() => {
    let isCurrent = true;
    if (!version) return undefined;
    past(version).then((order) => isCurrent && setEarlier({ order, error: null }), (error) => isCurrent && setEarlier({ order: null, error }));
    return () => {
      isCurrent = false;
    };
  }, [version, order?.version]);
  if (!order) {
    return html`<${Page} title="Order" subtitle=${html`<${Code} value=${orderId} />`}>${error ? html`<${ErrorBox} error=${error} /><p><${Link} to="/orders">Find another order<//></p>` : html`<${Loading} what="Loading the order" />`}<//>`;
  }
  const answered = () => {
    setProposals(proposals + 1);
    refresh();
  };
  const show = (version) => navigate(`/orders/${orderId}`, { version: version < order.version ? version : undefined }, { replace: true });
  // Until an earlier version is loaded, the one before stays on the screen.
  const shown = version ? (earlier.order ?? order) : order;
  const title = order.reference ?? "Order";
  const subtitle = html`<${Code} value=${order.order_id} /> <${Copy} text=${order.order_id} label="Copy id" />`;
  const badges = html`<${Status} value=${shown.status} /><${Badge}>${words(shown.payment_status)}<//><${Badge}>${words(shown.fulfilment_status)}<//>${order.parked > 0 && html`<${Badge} tone="bad">${order.parked} parked<//>`}`;
  return html`<${Page} title=${title} subtitle=${subtitle} actions=${badges}>
    ${error && html`<${ErrorBox} error=${error} />`}
    <${Versions} order=${order} events=${events} version=${shown.version} onShow=${show} />
    ${version && earlier.error && html`<${ErrorBox} error=${earlier.error} />`}
    <div class="columns order-columns">
      <div class="stack">
        <${Parked} orderId=${orderId} count=${order.parked} />
        <${Lines} order=${shown} /><${Money} order=${shown} /><${Parcels} order=${shown} />
      </div>
      <div class="stack beside">
        ${!version && html`<${Actions} order=${order} onAnswered=${answered} />`}
        <${About} order=${shown} /><${Contact} order=${order} /><${Diagram} order=${shown} />
      </div>
      <div class="stack"><${Timeline} events=${events} past=${past} shownVersion=${shown.version} onShow=${show} /><${Refused} order=${order} round=${proposals} /></div>
    </div>
  <//>`;
}

/** The slider through the versions. */
function Versions({ order, events, version, onShow }) {
  if (order.version < 2) return null;
  const event = events[version - 1];
  const isPast = version < order.version;
  const step = (to) => () => onShow(Math.min(Math.max(to, 1), order.version));
  return html`<section class=${`panel versions ${isPast ? "past" : ""}`} aria-label="Versions">
    <button type="button" aria-label="Earlier version" disabled=${version <= 1} onClick=${step(version - 1)}>‹</button>
    <input type="range" min="1" max=${order.version} value=${version} aria-label="Version" aria-valuetext=${`Version ${version} of ${order.version}${event ? `, ${words(event.type)}` : ""}`}
      onInput=${(change) => onShow(Number(change.target.value))} />
    <button type="button" aria-label="Later version" disabled=${!isPast} onClick=${step(version + 1)}>›</button>
    <p role="status"><strong>Version ${version}</strong> of ${order.version}${event && html` · ${words(event.type)} · <${Time} value=${event.recorded_at} />`}
      ${isPast && html` <${Badge} tone="warn">the past<//> <button type="button" class="small" onClick=${step(order.version)}>Back to now</button>`}</p>
  </section>`;
}
