// The page "Order".

import { html } from "../lib.js";
import { Page } from "../ui.js";

export default function OrderPage() {
  return html`<${Page} title="Order"><//>`;
}
