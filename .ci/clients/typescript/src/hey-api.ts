// Tests the client that @hey-api/openapi-ts generates.

import { createOrder, createOrders, getOrder, getReceipt, listEvents, listOrders, proposeEvent } from "./generated/hey-api";
import type { CreateOrder, Problem, ProposedEvent } from "./generated/hey-api";
import { client } from "./generated/hey-api/client.gen";
import { address, assert, run, WAIT } from "./check";

client.setConfig({ baseUrl: address });
const customer_id = "hey-api";
const order: CreateOrder = { customer_id, currency: "EUR", items: [{ sku: "tea", quantity: 2, unit_price: 450 }] };

/** Returns the data of an answer, or throws its problem. */
async function wanted<T>(answer: Promise<{ data: T | undefined; error: unknown }>): Promise<T> {
  const { data, error } = await answer;
  if (data === undefined) throw new Error(JSON.stringify(error));
  return data;
}

/** Returns the problem of a refused request. */
async function refused(answer: Promise<{ error: unknown }>): Promise<Problem> {
  const { error } = await answer;
  if (error === undefined) throw new Error("a problem was expected");
  return error as Problem;
}

const place = (body: CreateOrder, Prefer?: string) => createOrder({ body, headers: { Prefer } });
const propose = (order_id: string, body: ProposedEvent) =>
  proposeEvent({ path: { order_id }, body, headers: { Prefer: WAIT } });

run("@hey-api/openapi-ts", async () => {
  const accepted = await wanted(place(order));
  assert(accepted.object === "receipt", accepted);
  const { order_id, event_id } = accepted;
  const settled = await wanted(getReceipt({ path: { order_id, event_id }, headers: { Prefer: WAIT } }));
  assert(settled.state === "recorded", settled);

  const placed = await wanted(place(order, WAIT));
  assert(placed.object === "order", placed);
  const id = placed.order_id;
  const early = await refused(propose(id, { type: "order_shipped", data: { carrier: "DHL", tracking_number: "1" } }));
  assert(early.status === 409 && early.type === "/problems/illegal-transition", early);

  await wanted(propose(id, { type: "order_confirmed" }));
  const paid = await wanted(propose(id, { type: "order_paid", data: { payment_id: "p-1", amount: 900 } }));
  assert(paid.object === "order" && paid.status === "paid" && paid.version === 3 && paid.total === 900, paid);

  const read = await wanted(getOrder({ path: { order_id: id } }));
  assert(read.version === 3 && read.payment?.amount === 900, read);
  const { items } = await wanted(listOrders({ query: { customer_id } }));
  assert(items.length >= 2 && items.some((order) => order.order_id === id), items);

  const events = (await wanted(listEvents({ path: { order_id: id } }))).items;
  assert(events.map((event) => event.type).join() === "order_created,order_confirmed,order_paid", events);
  const payment = events.find((event) => event.type === "order_paid");
  assert(payment?.data.payment_id === "p-1", events);

  const wrong: CreateOrder = { ...order, total: 1 };
  const batch = (await wanted(createOrders({ body: { orders: [order, wrong] } }))).items;
  assert(batch[0]?.status === 202 && batch[0].receipt !== undefined, batch);
  assert(batch[1]?.status === 422 && batch[1].problem !== undefined, batch);

  const problem = await refused(place(wrong));
  assert(problem.status === 422 && problem.errors?.[0]?.pointer === "/total", problem);
  return id;
});
