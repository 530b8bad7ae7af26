// Who is signed in: the token, and when it is needed. `api.js` sends the token; `app.js` shows the sign-in page.
// The token stays in the session storage of this tab. It is never part of an address, and ends with the tab.

const KEY = "orders.token";
const listeners = new Set();
let refused = null;

/** The token, or null. */
export function token() {
  return sessionStorage.getItem(KEY);
}

/** Why the service refused the last request (a problem), or null. While it is set, the sign-in page is shown. */
export function refusal() {
  return refused;
}

/** Keeps a token and shows the pages again. */
export function signIn(value) {
  sessionStorage.setItem(KEY, value.trim());
  refused = null;
  notify();
}

/** Forgets the token. The pages are shown until the service asks for a token again. */
export function signOut() {
  sessionStorage.removeItem(KEY);
  refused = null;
  notify();
}

/** Called when the service answers 401. */
export function refuse(problem) {
  refused = problem;
  notify();
}

/** Calls `listener` when somebody signs in or out, or is refused. Returns a function that stops this. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function notify() {
  for (const listener of listeners) listener();
}

/** The claims of the token, to show who is signed in. They are not verified here; the service verifies them. Null if there is no
 * token, or the token is not a JWT. */
export function claims() {
  try {
    const part = token().split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}
