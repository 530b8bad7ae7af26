// Calls the API: with the token, problems as errors, pages of lists, and streams of events. Pages use it.

import { basePath } from "./nav.js";
import { refuse, token } from "./session.js";

/** An answer of the API that is not a success. `body` is the problem (RFC 9457); `status` is 0 if there was no answer. */
export class ApiError extends Error {
  constructor(status, body, cause) {
    super(body.detail || body.title, { cause });
    this.status = status;
    this.body = body;
    /** The kind of problem, such as `/problems/not-found`. */
    this.type = body.type;
    this.title = body.title;
  }
}

/** The address of a path of the API, such as `/v1/orders`, with a query. Parameters that are null, undefined or empty are left out. */
export function address(path, query = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parameters.append(name, value);
  }
  const text = parameters.toString();
  return basePath + path + (text ? `?${text}` : "");
}

function authorized(headers) {
  const current = token();
  return current ? { ...headers, authorization: `Bearer ${current}` } : headers;
}

/** Sends a request whose answer is returned as it is, or throws an `ApiError`. */
async function send(method, path, { query, headers = {}, body, signal } = {}) {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const all = authorized(text === undefined ? headers : { "content-type": "application/json", ...headers });
  let answer;
  try {
    answer = await fetch(address(path, query), { method, headers: all, body: text, signal, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, { title: "No answer", detail: "The service did not answer. It may be stopped, or the network is down." }, error);
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({ title: `The service answered with the status ${answer.status}` }));
  if (answer.status === 401) refuse(problem);
  throw new ApiError(answer.status, problem);
}

/**
 * Sends a request and returns `{ status, body, headers }`. `body` is null if the answer has none.
 *
 * Options: `query`, `body` (sent as JSON), `headers` (such as `if-match`), `signal`.
 */
export async function request(method, path, options) {
  const answer = await send(method, path, options);
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : null, headers: answer.headers };
}

/** The body of a `GET` request. */
export async function get(path, query, options) {
  return (await request("GET", path, { query, ...options })).body;
}

/** The body of the answer to a `POST` request, whose body is JSON. */
export async function post(path, body, options) {
  return (await request("POST", path, { body, ...options })).body;
}

/** A new idempotency key. A form keeps it until its content changes, so that a retry cannot act twice. */
export function newKey() {
  return `console-${crypto.randomUUID()}`;
}

/** All items of a list, page by page, up to `limit` items. */
export async function all(path, query = {}, { limit = 1000, signal } = {}) {
  const items = [];
  let cursor;
  do {
    const page = await get(path, { limit: 200, ...query, cursor }, { signal });
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && items.length < limit);
  return { items, isComplete: !cursor };
}

/**
 * Follows the feed from now on, until `signal` is aborted. Calls `onEvent` with each event, and `onState` with `live`,
 * `connecting` or `ended` (the service refuses streams to this client).
 *
 * `EventSource` cannot send a token, so the stream is read here. Where the deployment has no streams, as on Lambda, the feed
 * is asked for more each few seconds.
 */
export async function follow({ query = {}, onEvent, onState = () => {}, signal }) {
  let cursor = null;
  let pause = 1000;
  while (!signal.aborted) {
    try {
      onState("connecting");
      const start = cursor ? { after: cursor } : { from: "latest" };
      const headers = { accept: "text/event-stream" };
      const answer = await send("GET", "/v1/events", { query: { ...query, ...start }, headers, signal });
      onState("live");
      pause = 1000;
      for await (const message of messages(answer.body)) {
        if (message.id) cursor = message.id;
        if (message.data) onEvent(JSON.parse(message.data));
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 406) return poll({ query, cursor, onEvent, onState, signal });
      if ([400, 401, 403, 404].includes(error.status)) return onState("ended");
    }
    await sleep(pause, signal);
    pause = Math.min(pause * 2, 30_000);
  }
}

/** Follows the feed by asking for the next page each few seconds. */
async function poll({ query, cursor, onEvent, onState, signal }) {
  while (!signal.aborted) {
    try {
      const start = cursor ? { after: cursor } : { from: "latest" };
      const page = await get("/v1/events", { ...query, ...start, limit: 100 }, { signal });
      onState("live");
      page.items.forEach(onEvent);
      cursor = page.next_cursor;
    } catch (error) {
      if (signal.aborted) return;
      if ([400, 401, 403, 404].includes(error.status)) return onState("ended");
      onState("connecting");
    }
    await sleep(5000, signal);
  }
}

/** The messages of a stream of server-sent events, as the HTML standard parses them. */
async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let message = { data: "" };
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r\n|\n|\r/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        yield message;
        message = { data: "" };
        continue;
      }
      const [, field, text] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field === "data") message.data += message.data ? `\n${text}` : text;
      else if (field) message[field] = text;
    }
  }
}

/** Waits for some milliseconds, or until `signal` is aborted. */
export function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
