// The page "Pipeline".

import { html } from "../lib.js";
import { Page } from "../ui.js";

export default function Pipeline() {
  return html`<${Page} title="Pipeline"><//>`;
}
