// The page "Webhooks".

import { html } from "../lib.js";
import { Page } from "../ui.js";

export default function Webhooks() {
  return html`<${Page} title="Webhooks"><//>`;
}
