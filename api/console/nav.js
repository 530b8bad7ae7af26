// The address bar: the current place, links and navigation without loading the document again. Pages and `app.js` use it.
// A place is a path below `/console`, such as `/orders/o-1`, with its query.

import { html, useEffect, useState } from "./lib.js";

/** The path of the service that this console belongs to: empty, or a base path such as `/prod`. */
export const basePath = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

const root = `${basePath}/console`;
const listeners = new Set();
let navigations = 0;

/** The current place: `{ path, query }`. `path` begins with a slash, `query` is a `URLSearchParams`. */
export function place() {
  const path = location.pathname.slice(root.length).replace(/\/+$/, "") || "/";
  return { path, query: new URLSearchParams(location.search), navigations };
}

/** The address of a place, for `href`. Parameters that are null, undefined or empty are left out. */
export function href(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.append(name, value);
  }
  const text = query.toString();
  return root + (path === "/" ? "/" : path) + (text ? `?${text}` : "");
}

/** Goes to a place. With `replace`, the back button skips the current place, and the focus stays where it is. */
export function navigate(path, parameters = {}, { replace = false } = {}) {
  const address = href(path, parameters);
  if (replace) {
    history.replaceState(null, "", address);
  } else {
    history.pushState(null, "", address);
    navigations += 1;
    scrollTo(0, 0);
  }
  notify();
}

function notify() {
  for (const listener of listeners) listener();
}

addEventListener("popstate", () => {
  navigations += 1;
  notify();
});

/** The current place as state: the component is drawn again when it changes. */
export function usePlace() {
  const [current, setCurrent] = useState(place);
  useEffect(() => {
    const listener = () => setCurrent(place());
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, []);
  return current;
}

/** A link to a place of the console. Clicks with a modifier open a tab, as usual. */
export function Link({ to, query, children, ...rest }) {
  const go = (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to, query);
  };
  return html`<a href=${href(to, query)} onClick=${go} ...${rest}>${children}</a>`;
}
