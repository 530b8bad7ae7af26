// The page "Orders".

import { html } from "../lib.js";
import { Page } from "../ui.js";

export default function Orders() {
  return html`<${Page} title="Orders"><//>`;
}
