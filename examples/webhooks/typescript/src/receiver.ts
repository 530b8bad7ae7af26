// A webhook receiver with node and `standardwebhooks`: node out/receiver.js [PORT] [FILE]
//
// WEBHOOK_SECRET is the subscription's secret. The receiver does what every receiver should do:
//
// - It verifies the signature over the body's bytes before it parses them.
// - It stores the event durably before it answers with a 2xx status. It does the actual work after the answer.
// - It recognizes repeated events by their `webhook-id`, also after a restart.
// - It answers a repeated event with a 2xx status. With any other status, the service would deliver the event
//   again, and hold back later events of its order.

import * as fs from "node:fs";
import { createServer, IncomingMessage } from "node:http";
import { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";

const MAX_BODY = 1 << 20;

/** A delivered event (CloudEvents 1.0). A test has no subject. */
interface CloudEvent {
  id: string;
  type: string;
  subject?: string;
  orderversion?: number;
  data: unknown;
}

/** The received events: a file with one event on each line, and the ids in memory. */
class Inbox {
  private readonly ids = new Set<string>();
  private readonly file: number;

  constructor(path: string) {
    const bytes = fs.existsSync(path) ? fs.readFileSync(path) : Buffer.alloc(0);
    // A crash can cut off the last line. Its event was not answered, so the service delivers the event again.
    const complete = bytes.subarray(0, bytes.lastIndexOf(10) + 1);
    for (const line of complete.toString().split("\n")) {
      if (line !== "") this.ids.add((JSON.parse(line) as CloudEvent).id);
    }
    this.file = fs.openSync(path, "a");
    fs.ftruncateSync(this.file, complete.length);
  }

  /** Stores the event. Returns false if it was stored before. */
  add(webhookId: string, event: CloudEvent): boolean {
    if (this.ids.has(webhookId)) return false;
    fs.writeSync(this.file, JSON.stringify(event) + "\n");
    fs.fsyncSync(this.file);
    this.ids.add(webhookId);
    return true;
  }
}

/** The whole body, or undefined if it is too long. */
async function read(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > MAX_BODY) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

const secret = process.env.WEBHOOK_SECRET;
if (secret === undefined) throw new Error("WEBHOOK_SECRET is not set");
const webhook = new Webhook(secret);
const inbox = new Inbox(process.argv[3] ?? "received.jsonl");

/** Handles one delivery. Returns the status of the answer. */
async function receive(request: IncomingMessage): Promise<number> {
  const body = await read(request);
  if (body === undefined) return 413;
  let event: CloudEvent;
  try {
    event = webhook.verify(body, request.headers as Record<string, string>) as CloudEvent;
  } catch {
    return 401;
  }
  // A test event belongs to no order and is not stored. It only needs an answer.
  if (event.type !== "orders.webhook_test" && inbox.add(request.headers["webhook-id"] as string, event)) {
    console.log(`${event.subject} version ${event.orderversion}: ${event.type}`);
  }
  return 204;
}

const server = createServer((request, response) => {
  receive(request).then(
    (status) => response.writeHead(status).end(),
    () => response.destroy(),
  );
});
server.listen(Number(process.argv[2] ?? 9000), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
