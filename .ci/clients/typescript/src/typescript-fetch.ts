// Tests the TypeScript client for fetch that OpenAPI Generator generates.

import { Configuration, OrdersApi, ProblemFromJSON, ResponseError } from "./generated/typescript-fetch";
import type { CreateOrder, Problem, ProposedEvent } from "./generated/typescript-fetch";
import { address, assert, run, WAIT } from "./check";

const api = new OrdersApi(new Configuration({ basePath: address }));
const customerId = "typescript-fetch";
const order: CreateOrder = { customerId, currency: "EUR", items: [{ sku: "tea", quantity: 2, unitPrice: 450 }] };

const propose = (orderId: string, proposedEvent: ProposedEvent) =>
  api.proposeEvent({ orderId, proposedEvent, prefer: WAIT });

/** Returns the problem of a refused request. */
async function refused(request: Promise<unknown>): Promise<Problem> {
  const error = await request.then((answer) => answer, (error: unknown) => error);
  if (!(error instanceof ResponseError)) throw new Error(`a problem was expected: ${JSON.stringify(error)}`);
  return ProblemFromJSON(await error.response.json());
}

run("OpenAPI Generator, fetch", async () => {
  const accepted = await api.createOrder({ createOrder: order });
  assert(accepted.object === "receipt", accepted);
  const { orderId, eventId } = accepted;
  const settled = await api.getReceipt({ orderId, eventId, prefer: WAIT });
  assert(settled.state === "recorded", settled);

  const placed = await api.createOrder({ createOrder: order, prefer: WAIT });
  assert(placed.object === "order" && placed.createdAt instanceof Date, placed);
  const id = placed.orderId;
  const early = await refused(propose(id, { type: "order_shipped", data: { carrier: "DHL", trackingNumber: "1" } }));
  assert(early.status === 409 && early.type === "/problems/illegal-transition", early);

  await propose(id, { type: "order_confirmed" });
  const paid = await propose(id, { type: "order_paid", data: { paymentId: "p-1", amount: 900 } });
  assert(paid.object === "order" && paid.status === "paid" && paid.version === 3 && paid.total === 900, paid);

  const read = await api.getOrder({ orderId: id });
  assert(read.version === 3 && read.payment?.amount === 900, read);
  const { items } = await api.listOrders({ customerId });
  assert(items.length >= 2 && items.some((order) => order.orderId === id), items);

  const events = (await api.listEvents({ orderId: id })).items;
  assert(events.map((event) => event.type).join() === "order_created,order_confirmed,order_paid", events);
  const payment = events.find((event) => event.type === "order_paid");
  assert(payment?.data.paymentId === "p-1" && payment.recordedAt instanceof Date, events);

  const parcel = { carrier: "DHL", trackingNumber: "1", shipmentId: "parcel-1", items: [{ lineId: "1", quantity: 1 }] };
  const partly = await propose(id, { type: "order_shipped", data: parcel });
  assert(partly.object === "order" && partly.status === "partially_shipped" && partly.items[0]?.shipped === 1, partly);
  const refund = { refundId: "r-1", amount: 450, paymentId: "p-1" };
  const refunded = await propose(id, { type: "order_refunded", data: refund });
  assert(refunded.object === "order" && refunded.paymentStatus === "partially_refunded", refunded);

  const wrong: CreateOrder = { ...order, total: 1 };
  const batch = (await api.createOrders({ createOrders: { orders: [order, wrong] } })).items;
  assert(batch[0]?.status === 202 && batch[0].receipt !== undefined, batch);
  assert(batch[1]?.status === 422 && batch[1].problem !== undefined, batch);

  const problem = await refused(api.createOrder({ createOrder: wrong }));
  assert(problem.status === 422 && problem.errors?.[0]?.pointer === "/total", problem);
  return id;
});
