// The states and the log of one order, for the page of the order: the current state, followed while the page is visible; past
// states, which never change and are kept; and the log.

import { all, get, request, sleep } from "../api.js";
import { useCallback, useEffect, useRef, useState } from "../lib.js";

/** How often an open page asks whether the order has changed. The answer is empty if it has not. */
const INTERVAL = 4000;

/**
 * The current order and its log: `{ order, events, error, refresh }`. Both are null until they are loaded. They are loaded together
 * again when the order has changed.
 */
export function useOrder(orderId) {
  const [found, setFound] = useState({ order: null, events: null, error: null });
  const refreshed = useRef(() => {});
  useEffect(() => {
    const abort = new AbortController();
    const path = `/v1/orders/${encodeURIComponent(orderId)}`;
    let tag = null;
    let events = [];
    const load = async () => {
      try {
        const answer = await request("GET", path, { signal: abort.signal, headers: tag ? { "if-none-match": tag } : {} });
        if (answer.status === 304) return;
        if (events.length < answer.body.version) events = (await all(`${path}/events`, {}, { limit: 5000, signal: abort.signal })).items;
        tag = answer.headers.get("etag");
        setFound({ order: answer.body, events, error: null });
      } catch (error) {
        if (!abort.signal.aborted) setFound((found) => ({ ...found, error }));
      }
    };
    refreshed.current = load;
    const run = async () => {
      while (!abort.signal.aborted) {
        if (!document.hidden) await load();
        await sleep(INTERVAL, abort.signal);
      }
    };
    run();
    document.addEventListener("visibilitychange", load);
    return () => {
      abort.abort();
      document.removeEventListener("visibilitychange", load);
    };
  }, [orderId]);
  return { ...found, refresh: () => refreshed.current() };
}

/** A function that returns the order as it was at a version. Each version is read once. */
export function usePast(orderId, current) {
  const states = useRef(new Map());
  return useCallback((version) => {
    if (current?.version === version) return Promise.resolve(current);
    if (!states.current.has(version)) {
      const state = get(`/v1/orders/${encodeURIComponent(orderId)}`, { version });
      state.catch(() => states.current.delete(version));
      states.current.set(version, state);
    }
    return states.current.get(version);
  }, [orderId, current]);
}
