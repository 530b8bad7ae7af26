// Finds elements as a person does, for the tests of pages. An element is described by a CSS selector, or by a selector and
// a name, such as `button >> Redrive`. The name is the label or the visible text. Only visible elements count. If the whole
// name of some elements is equal, these are meant; otherwise those whose name contains it.
globalThis.testing = (() => {
  const isVisible = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
  const squeeze = (text) => (text ?? "").replace(/\s+/g, " ").trim();
  const nameOf = (element) => {
    const labelled = (element.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean)
      .map((id) => document.getElementById(id)?.textContent).join(" ");
    const labels = [...(element.labels ?? [])].map((label) => label.textContent).join(" ");
    return squeeze(labelled || element.getAttribute("aria-label") || labels || element.innerText || element.textContent);
  };
  const all = (description) => {
    const [selector, ...rest] = description.split(" >> ");
    const name = rest.join(" >> ");
    const visible = [...document.querySelectorAll(selector)].filter(isVisible);
    if (!name) return visible;
    const equal = visible.filter((element) => nameOf(element) === name);
    return equal.length > 0 ? equal : visible.filter((element) => nameOf(element).includes(name));
  };
  const one = (description) => {
    const found = all(description);
    if (found.length > 1) throw new Error(`${found.length} elements are ${description}: ${found.map((e) => e.outerHTML.slice(0, 200)).join("\n")}`);
    return found[0] ?? null;
  };
  const text = (description) => {
    const element = one(description);
    return element && ("value" in element && element.tagName !== "LI" ? element.value : element.innerText);
  };
  // The middle of an element that can be clicked: it is enabled, has come to rest, and nothing covers it.
  const place = async (description) => {
    const element = one(description);
    if (!element || element.disabled || element.ariaDisabled === "true") return null;
    element.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
    const middle = () => {
      // Of a link over two lines, the first part.
      const { left, top, width, height } = element.getClientRects()[0] ?? {};
      return { x: left + width / 2, y: top + height / 2 };
    };
    const before = middle();
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    if (!element.isConnected) return null;
    const { x, y } = middle();
    if (x !== before.x || y !== before.y) return null;
    const hit = document.elementFromPoint(x, y);
    const isHit = hit && (element.contains(hit) || [...(element.labels ?? [])].some((label) => label.contains(hit)));
    return isHit ? { x, y } : null;
  };
  return { all, one, text, place, name: nameOf };
})();
