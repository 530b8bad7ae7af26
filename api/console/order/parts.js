// What an order consists of: lines with their counters, money, parcels, and what else the client stored. The page of an order
// shows them for the current state and for past ones.

import { get } from "../api.js";
import { html, useState } from "../lib.js";
import { Link } from "../nav.js";
import { Badge, Code, ErrorBox, Facts, money, number, Panel, Status, Table, Text, Time, words } from "../ui.js";

export function Lines({ order }) {
  const count = (name) => ({ title: words(name), numeric: true, cell: (line) => (line[name] > 0 ? number(line[name]) : html`<span class="muted">0</span>`) });
  const columns = [
    { title: "Line", main: true, cell: (line) => html`<${Text} value=${line.name ?? line.sku} /><br /><span class="muted small"><${Code} value=${line.sku} /> · line <${Text} value=${line.line_id} /></span>` },
    { title: "ordered", numeric: true, cell: (line) => number(line.quantity) },
    count("cancelled"), count("shipped"), count("delivered"), count("returned"),
    { title: "Unit price", numeric: true, cell: (line) => (line.unit_price === undefined ? "–" : money(line.unit_price, order.currency)) },
  ];
  return html`<${Panel} title="Lines"><${Table} caption="Lines with their counters" class="dense" columns=${columns} items=${order.items} itemKey=${(line) => line.line_id} /><//>`;
}

function balanceInWords(balance, currency) {
  if (balance > 0) return html`${money(balance, currency)} <${Badge} tone="warn">due<//>`;
  if (balance < 0) return html`${money(-balance, currency)} <${Badge} tone="bad">owed to the customer<//>`;
  return html`${money(0, currency)} <${Badge} tone="ok">settled<//>`;
}

export function Money({ order }) {
  const amount = (value) => money(value, order.currency);
  const facts = [
    ["Total", html`<strong>${amount(order.total)}</strong>`],
    ["Authorized", amount(order.money.authorized)],
    ["Captured", amount(order.money.captured)],
    ["Refunded", amount(order.money.refunded)],
    ["Balance", balanceInWords(order.money.balance, order.currency)],
  ];
  const payments = [
    { title: "Payment", main: true, cell: (payment) => html`<${Text} value=${payment.payment_id} />${payment.method && html` <span class="muted small"><${Text} value=${payment.method} /></span>`}${payment.voided ? html` <${Badge}>voided<//>` : null}` },
    { title: "Authorized", numeric: true, cell: (payment) => amount(payment.authorized ?? 0) },
    { title: "Captured", numeric: true, cell: (payment) => amount(payment.captured) },
    { title: "Refunded", numeric: true, cell: (payment) => amount(payment.refunded) },
  ];
  const adjustments = [
    { title: "Adjustment", main: true, cell: (item) => html`<${Text} value=${item.label ?? item.adjustment_id} /> <span class="muted small">${item.kind}${item.line_id && html` of line <${Text} value=${item.line_id} />`}</span>` },
    { title: "Amount", numeric: true, cell: (item) => amount(item.amount) },
  ];
  const refunds = [
    { title: "Refund", main: true, cell: (item) => html`<${Text} value=${item.refund_id} />${item.reason && html` <span class="muted small"><${Text} value=${item.reason} /></span>`}${item.goodwill ? html` <${Badge}>goodwill<//>` : null}` },
    { title: "Amount", numeric: true, cell: (item) => amount(item.amount) },
  ];
  return html`<${Panel} title="Money"><div class="stack">
    <${Facts} rows=${facts} />
    ${order.adjustments.length > 0 && html`<${Table} caption="Adjustments" columns=${adjustments} items=${order.adjustments} />`}
    ${order.payments.length > 0 && html`<${Table} caption="Payments" class="dense" columns=${payments} items=${order.payments} />`}
    ${order.refunds.length > 0 && html`<${Table} caption="Refunds" columns=${refunds} items=${order.refunds} />`}
  </div><//>`;
}

function units(items) {
  return items.map((item, index) => html`${index > 0 && ", "}${number(item.quantity)} of line <${Text} value=${item.line_id} />`);
}

export function Parcels({ order }) {
  if (order.shipments.length + order.returns.length + order.holds.length === 0) return null;
  const shipments = [
    { title: "Shipment", main: true, cell: (item) => html`<${Text} value=${item.shipment_id} />` },
    { title: "Carrier", cell: (item) => html`<${Text} value=${item.carrier} /> <${Code} value=${item.tracking_number} />` },
    { title: "Units", cell: (item) => units(item.items) },
    { title: "State", cell: (item) => html`<${Status} value=${item.state} />` },
  ];
  const returns = [
    { title: "Return", main: true, cell: (item) => html`<${Text} value=${item.return_id} />` },
    { title: "Reason", cell: (item) => item.reason && html`<${Text} value=${item.reason} />` },
    { title: "Units", cell: (item) => units(item.items) },
    { title: "State", cell: (item) => html`<${Status} value=${item.state} />` },
  ];
  return html`<${Panel} title="Parcels"><div class="stack">
    ${order.holds.length > 0 && html`<div class="warning"><${Badge} tone="warn">on hold<//> ${order.holds.map((hold) => html`<span><${Text} value=${hold.hold} />${hold.reason && html`: <${Text} value=${hold.reason} />`} </span>`)}</div>`}
    ${order.shipments.length > 0 && html`<${Table} caption="Shipments" columns=${shipments} items=${order.shipments} />`}
    ${order.returns.length > 0 && html`<${Table} caption="Returns" columns=${returns} items=${order.returns} />`}
  </div><//>`;
}

function addressLines(address) {
  const { name, company, line1, line2, postal_code, city, region, country } = address;
  return [name, company, line1, line2, [postal_code, city].filter(Boolean).join(" "), [region, country].filter(Boolean).join(", ")].filter(Boolean);
}

function Address({ value }) {
  return addressLines(value).map((line, index) => html`${index > 0 && html`<br />`}<${Text} value=${line} />`);
}

/** The contact, masked until somebody asks for it. Asking is a request of its own, which the service logs. */
export function Contact({ order }) {
  const [shown, setShown] = useState(null);
  const [error, setError] = useState(null);
  if (!order.contact) return null;
  const show = async () => {
    try {
      setShown((await get(`/v1/orders/${order.order_id}/contact`)).contact ?? {});
      setError(null);
    } catch (error) {
      setError(error);
    }
  };
  const names = { name: "Name", email: "E-mail", phone: "Phone", shipping_address: "Ships to", billing_address: "Bills to" };
  const rows = Object.keys(names).filter((name) => (shown ?? order.contact)[name]).map((name) => {
    const value = shown?.[name];
    if (!shown) return [names[name], html`<span class="masked" aria-label="masked">••••••••</span>`];
    return [names[name], typeof value === "string" ? html`<${Text} value=${value} />` : html`<${Address} value=${value} />`];
  });
  const action = shown ? html`<button type="button" class="quiet small" onClick=${() => setShown(null)}>Hide</button>` : html`<button type="button" class="small" onClick=${show}>Show contact</button>`;
  return html`<${Panel} title="Contact" actions=${action}>
    <${Facts} rows=${rows} />${error && html`<${ErrorBox} error=${error} />`}
    <p class="hint">${shown ? "Shown. The service has logged that you asked." : "Masked. Showing it is logged."}</p>
  <//>`;
}

export function About({ order }) {
  const metadata = Object.entries(order.metadata);
  const rows = [
    ["Customer", html`<${Link} to="/orders" query=${{ q: order.customer_id }}><${Text} value=${order.customer_id} /><//>`],
    ["Reference", order.reference && html`<${Text} value=${order.reference} />`],
    ["Payment", html`<${Status} value=${order.payment_status} />`],
    ["Fulfilment", html`<${Status} value=${order.fulfilment_status} />`],
    ["Created", html`<${Time} value=${order.created_at} />`],
    ["Last event", html`<${Time} value=${order.updated_at} />`],
    ["Expires", order.expires_at && html`<${Time} value=${order.expires_at} />`],
    ["Ships unpaid", order.ship_unpaid ? "yes" : null],
  ];
  return html`<${Panel} title="Order"><div class="stack"><${Facts} rows=${rows} />
    ${metadata.length > 0 && html`<div><h3>Metadata</h3><${Facts} rows=${metadata.map(([name, value]) => [html`<${Text} value=${name} />`, html`<${Text} value=${value} />`])} /></div>`}
    ${order.notes && html`<div><h3>Notes</h3><p class="notes"><${Text} value=${order.notes} /></p></div>`}
  </div><//>`;
}
