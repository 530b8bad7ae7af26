// The parts of the vendored libraries that the console uses: templates (`html`) and hooks. Every module imports them from
// here, so that a library can be replaced in one place.

import { Component, Fragment, h, render } from "./vendor/preact.mjs";
import htm from "./vendor/htm.mjs";

export { useCallback, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useRef, useState } from "./vendor/hooks.mjs";
export { Component, Fragment, h, render };

/** A template. Values become text or attributes, never markup: `html\`<p>${text}</p>\``. */
export const html = htm.bind(h);
