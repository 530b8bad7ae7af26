// Tests openapi-fetch with the types that openapi-typescript generates.

import createClient from "openapi-fetch";
import { address, assert, run, WAIT } from "./check";
import type { components, paths } from "./generated/openapi-typescript";

type CreateOrder = components["schemas"]["CreateOrder"];
type Problem = components["schemas"]["Problem"];
type ProposedEvent = components["schemas"]["ProposedEvent"];

const api = createClient<paths>({ baseUrl: address });
const customer_id = "openapi-fetch";
const order: CreateOrder = { customer_id, currency: "EUR", items: [{ sku: "tea", quantity: 2, unit_price: 450 }] };

/** Returns the data of an answer, or throws its problem. */
function wanted<T>(answer: { data?: T; error?: Problem; response: Response }): T {
  if (answer.data !== undefined) return answer.data;
  throw new Error(`${answer.response.status}: ${answer.error?.type}: ${answer.error?.detail}`);
}

/** Returns the problem of a refused request. */
function refused(answer: { error?: Problem }): Problem {
  if (answer.error === undefined) throw new Error("a problem was expected");
  return answer.error;
}

const place = (body: CreateOrder, Prefer?: string) =>
  api.POST("/v1/orders", { body, params: Prefer === undefined ? {} : { header: { Prefer } } });
const propose = (order_id: string, body: ProposedEvent) =>
  api.POST("/v1/orders/{order_id}/events", { params: { path: { order_id }, header: { Prefer: WAIT } }, body });

run("openapi-fetch", async () => {
  const accepted = wanted(await place(order));
  assert(accepted.object === "receipt", accepted);
  const { order_id, event_id } = accepted;
  const settled = wanted(
    await api.GET("/v1/orders/{order_id}/events/{event_id}", {
      params: { path: { order_id, event_id }, header: { Prefer: WAIT } },
    }),
  );
  assert(settled.state === "recorded", settled);

  const placed = wanted(await place(order, WAIT));
  assert(placed.object === "order", placed);
  const path = { order_id: placed.order_id };
  const shipment: ProposedEvent = { type: "order_shipped", data: { carrier: "DHL", tracking_number: "1" } };
  const early = refused(await propose(path.order_id, shipment));
  assert(early.status === 409 && early.type === "/problems/illegal-transition", early);

  wanted(await propose(path.order_id, { type: "order_confirmed" }));
  const paid = wanted(await propose(path.order_id, { type: "order_paid", data: { payment_id: "p-1", amount: 900 } }));
  assert(paid.object === "order" && paid.status === "paid" && paid.version === 3 && paid.total === 900, paid);

  const read = wanted(await api.GET("/v1/orders/{order_id}", { params: { path } }));
  assert(read.version === 3 && read.payment?.amount === 900, read);
  const { items } = wanted(await api.GET("/v1/orders", { params: { query: { customer_id } } }));
  assert(items.length >= 2 && items.some((order) => order.order_id === path.order_id), items);

  const events = wanted(await api.GET("/v1/orders/{order_id}/events", { params: { path } })).items;
  assert(events.map((event) => event.type).join() === "order_created,order_confirmed,order_paid", events);
  const payment = events.find((event) => event.type === "order_paid");
  assert(payment?.data.payment_id === "p-1", events);

  const parcel = { carrier: "DHL", tracking_number: "1", shipment_id: "parcel-1", items: [{ line_id: "1", quantity: 1 }] };
  const partly = wanted(await propose(path.order_id, { type: "order_shipped", data: parcel }));
  assert(partly.object === "order" && partly.status === "partially_shipped" && partly.items[0]?.shipped === 1, partly);
  const refund = { refund_id: "r-1", amount: 450, payment_id: "p-1" };
  const refunded = wanted(await propose(path.order_id, { type: "order_refunded", data: refund }));
  assert(refunded.object === "order" && refunded.payment_status === "partially_refunded", refunded);

  const wrong: CreateOrder = { ...order, total: 1 };
  const batch = wanted(await api.POST("/v1/orders/batch", { body: { orders: [order, wrong] } })).items;
  assert(batch[0]?.status === 202 && batch[0].receipt !== undefined, batch);
  assert(batch[1]?.status === 422 && batch[1].problem !== undefined, batch);

  const problem = refused(await place(wrong));
  assert(problem.status === 422 && problem.errors?.[0]?.pointer === "/total", problem);
  return path.order_id;
});
