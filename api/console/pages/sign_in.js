// The sign-in page: shown in place of a page whose data the service refuses without a token, or with this one.

import { html, useState } from "../lib.js";
import { refusal, signIn, token } from "../session.js";
import { Field, Page, Text } from "../ui.js";

export default function SignIn() {
  const [value, setValue] = useState("");
  const hadToken = Boolean(token());
  const submit = (event) => {
    event.preventDefault();
    if (value.trim()) signIn(value);
  };
  return html`<${Page} title="Sign in">
    <section class="panel narrow">
      ${hadToken && html`<p class="error-box" role="alert">The service refused the token: <${Text} value=${refusal().detail ?? refusal().title} /></p>`}
      <p>This service needs a token. Paste an access token of your identity provider. It needs the scope <code>orders.read</code> to see
        orders, <code>orders.write</code> to change them, and <code>orders.operate</code> for the pipeline, dead letters and webhooks.</p>
      <form onSubmit=${submit}>
        <${Field} label="Access token" hint="It stays in this tab, and ends with it. It is sent to this service only.">${(control) => html`<textarea ...${control}
          class="token" rows="4" required autocomplete="off" spellcheck="false" value=${value} onInput=${(event) => setValue(event.target.value)}></textarea>`}<//>
        <div class="buttons"><button type="submit" class="primary">Sign in</button></div>
      </form>
    </section>
  <//>`;
}
