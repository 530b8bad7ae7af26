// Calls the API: with the token, problems as errors, pages of lists, and the feed as it grows. Pages use it.

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
  if (answer.ok || answer.status === 304) return answer;
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

/** Statuses after which asking again is useless. */
const FINAL = [400, 401, 403, 404];

/**
 * Follows the feed from now on, until `signal` is aborted. Calls `onEvents` with the events of a page and whether events before them
 * were left out, and `onState` with `live`, `connecting` or `ended` (the service refuses the feed to this client).
 *
 * It reads at most one page each second, and goes to the end of the feed when it cannot keep up: a screen shows what happens
 * now, and an open console stays cheap for a service that records thousands of events a second. A hidden page reads nothing.
 */
export async function follow({ query = {}, onEvents, onState = () => {}, signal }) {
  let cursor = null;
  let isBehind = false;
  onState("connecting");
  while (!signal.aborted) {
    try {
      await visible(signal);
      if (cursor === null) {
        cursor = (await get("/v1/events", { ...query, from: "latest", limit: 1 }, { signal })).next_cursor;
        onState("live");
      }
      const page = await get("/v1/events", { ...query, after: cursor, limit: 50 }, { signal, headers: { prefer: "wait=20" } });
      if (page.items.length > 0) onEvents(page.items, isBehind);
      onState("live");
      isBehind = page.has_more;
      cursor = page.has_more ? null : page.next_cursor;
      await sleep(1000, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (FINAL.includes(error.status)) return onState("ended");
      onState("connecting");
      if (error.status === 410) cursor = null;
      await sleep(3000, signal);
    }
  }
}

/** Resolves once somebody can see the page. */
async function visible(signal) {
  while (document.hidden && !signal.aborted) {
    await new Promise((resolve) => {
      document.addEventListener("visibilitychange", resolve, { once: true });
      signal.addEventListener("abort", resolve, { once: true });
    });
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
