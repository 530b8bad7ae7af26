// Places, pays and reads an order through a client that is typed by the OpenAPI document alone.
//
// node out/client.js http://127.0.0.1:8080

import createClient from "openapi-fetch";
import type { components, paths } from "./openapi.js";

type Order = components["schemas"]["Order"];
type Problem = components["schemas"]["Problem"];
type ProposedEvent = components["schemas"]["ProposedEvent"];
type Receipt = components["schemas"]["Receipt"];

const address = process.argv[2];
if (address === undefined) throw new Error("usage: client.js URL");
const api = createClient<paths>({ baseUrl: address });

/** What was answered, or the problem as an error that says what it is. */
function wanted<T>(result: { data?: T | undefined; error?: Problem | undefined; response: Response }): T {
  if (result.data !== undefined) return result.data;
  throw new Error(`${result.response.status}: ${result.error?.type}: ${result.error?.detail}`);
}

/** The receipt once it tells what became of the event. */
async function outcome(receipt: Receipt): Promise<Receipt> {
  const path = { order_id: receipt.order_id, event_id: receipt.event_id };
  for (let tries = 0; tries < 600; tries += 1) {
    const current = wanted(
      await api.GET("/v1/orders/{order_id}/events/{event_id}", { params: { path, query: { type: receipt.type } } }),
    );
    if (current.state !== "accepted") return current;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`still waiting: ${receipt.links.self}`);
}

/** Waits until what was accepted is recorded, where it is not yet: the answer is a receipt then, and else the order. */
async function recorded(answer: Receipt | Order): Promise<void> {
  if (!("state" in answer)) return;
  const { state, reason, detail } = await outcome(answer);
  if (state !== "recorded") throw new Error(`${answer.type} is ${state}: ${reason}: ${detail}`);
}

async function place(): Promise<string> {
  const body = {
    customer_id: "typescript",
    currency: "EUR",
    items: [{ sku: "tea", quantity: 2, unit_price: 450 }],
  };
  const header = { "Idempotency-Key": crypto.randomUUID() };
  const answer = wanted(await api.POST("/v1/orders", { body, params: { header } }));
  await recorded(answer);
  return answer.order_id;
}

async function propose(order_id: string, body: ProposedEvent): Promise<void> {
  const params = { path: { order_id }, header: { Prefer: "wait=10" } };
  await recorded(wanted(await api.POST("/v1/orders/{order_id}/events", { params, body })));
}

async function read(order_id: string): Promise<Order> {
  return wanted(await api.GET("/v1/orders/{order_id}", { params: { path: { order_id } } }));
}

function assert(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

const order_id = await place();
await propose(order_id, { type: "order_confirmed" });
await propose(order_id, { type: "order_paid", data: { payment_id: "p-1", amount: 900 } });

const order = await read(order_id);
assert(order.status === "paid" && order.total === 900 && order.version === 3, JSON.stringify(order));
assert(order.payment?.amount === 900, "the payment is on the order");
assert(order.allowed_events.includes("order_shipped"), "what may come next is told");

// A recorded event is told by its type, and its data is typed by it.
const history = wanted(await api.GET("/v1/orders/{order_id}/events", { params: { path: { order_id } } }));
const paid = history.items.find((event) => event.type === "order_paid");
assert(paid?.data.payment_id === "p-1", "the log has the payment");

// An error is a problem, and typed as well.
const { error } = await api.GET("/v1/orders/{order_id}", { params: { path: { order_id: "nobody" } } });
assert(error?.type === "/problems/order-not-found" && error.status === 404, JSON.stringify(error));

console.log(`order ${order_id} was placed, paid and read`);
