// Starts the console: chooses the page of the current place, and draws the header, the navigation and the sign-in.

import { html, render, useEffect, useErrorBoundary, useState } from "./lib.js";
import { basePath, Link, usePlace } from "./nav.js";
import { claims, onChange, refusal, signOut, token } from "./session.js";
import { ErrorBox, Loading, Page, Text } from "./ui.js";

/**
 * The pages: a pattern of the place, the module below `pages/`, and the title in the navigation. A module exports `default`, a
 * component that gets the parts of the pattern and the `query`. It is loaded when it is first shown.
 */
const PAGES = [
  { pattern: /^\/$/, module: "pipeline", to: "/", title: "Pipeline" },
  { pattern: /^\/orders$/, module: "orders", to: "/orders", title: "Orders" },
  { pattern: /^\/orders\/(?<orderId>[^/]+)$/, module: "order", under: "/orders" },
  { pattern: /^\/dead-letters$/, module: "dead_letters", to: "/dead-letters", title: "Dead letters" },
  { pattern: /^\/dead-letters\/(?<id>[^/]+)$/, module: "dead_letter", under: "/dead-letters" },
  { pattern: /^\/webhooks$/, module: "webhooks", to: "/webhooks", title: "Webhooks" },
  { pattern: /^\/webhooks\/(?<id>[^/]+)$/, module: "webhook", under: "/webhooks" },
];

function find(path) {
  for (const page of PAGES) {
    const match = page.pattern.exec(path);
    if (match) {
      const entries = Object.entries(match.groups ?? {});
      return { page, parameters: Object.fromEntries(entries.map(([name, value]) => [name, decoded(value)])) };
    }
  }
  return null;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function Navigation({ current }) {
  return html`<nav aria-label="Console"><ul>${PAGES.filter((page) => page.title).map(({ to, title }) => html`<li>
    <${Link} to=${to} aria-current=${current === to ? "page" : undefined}>${title}<//></li>`)}</ul></nav>`;
}

function Account() {
  if (!token()) return null;
  const subject = claims()?.sub;
  return html`<div class="account">${subject && html`<span class="muted"><${Text} value=${subject} /></span>`}<button type="button" class="quiet small" onClick=${signOut}>Sign out</button></div>`;
}

/** The page of a place. A page that fails shows the error, and the navigation still works. */
function Content({ path, query }) {
  const found = find(path);
  const [component, setComponent] = useState(null);
  const [error, reset] = useErrorBoundary((error) => console.error(error));
  const [failure, setFailure] = useState(null);
  const name = refusal() ? "sign_in" : found?.page.module;
  useEffect(() => {
    if (!name) return undefined;
    let isCurrent = true;
    reset();
    setFailure(null);
    import(`./pages/${name}.js`).then(
      (module) => isCurrent && setComponent({ name, Shown: module.default }),
      (cause) => isCurrent && setFailure(Object.assign(cause, { title: "The page could not be loaded" })),
    );
    return () => {
      isCurrent = false;
    };
  }, [name, path]);
  if (!name) return html`<${Page} title="No such page"><p>The console has no page at this address. <${Link} to="/">Go to the pipeline<//></p><//>`;
  if (error || failure) return html`<${Page} title="This page failed"><${ErrorBox} error=${error ?? failure} /><//>`;
  if (component?.name !== name) return html`<${Loading} />`;
  return html`<${component.Shown} key=${path} ...${found?.parameters} query=${query} />`;
}

function App() {
  const { path, query } = usePlace();
  const [, redraw] = useState(0);
  useEffect(() => onChange(() => redraw((count) => count + 1)), []);
  const page = find(path)?.page;
  return html`
    <a class="skip" href="#content">Skip to the content</a>
    <header class="top">
      <${Link} to="/" class="brand"><img src=${`${basePath}/console/assets/icon.svg`} alt="" width="22" height="22" />Orders<//>
      <${Navigation} current=${page?.to ?? page?.under} />
      <div class="top-end"><a class="docs" href=${`${basePath}/docs/`}>API</a><${Account} /></div>
    </header>
    <main id="content" tabindex="-1"><${Content} path=${path} query=${query} key=${token() ?? ""} /></main>`;
}

render(html`<${App} />`, document.getElementById("app"));
