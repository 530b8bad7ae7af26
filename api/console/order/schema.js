// JSON Schemas of the API's description, as a form needs them: references resolved and null left out. `fields.js` draws them.

import { basePath } from "../nav.js";

let description = null;

/** The OpenAPI description of the service. It is loaded once. */
export function openapi() {
  description ??= fetch(`${basePath}/openapi.json`).then((answer) => {
    if (!answer.ok) throw new Error("The description of the API could not be loaded.");
    return answer.json();
  });
  description.catch(() => {
    description = null;
  });
  return description;
}

/** The schema behind references and `or null`. */
export function resolve(document, schema) {
  if (schema.$ref) {
    const { $ref, ...beside } = schema;
    const target = $ref.split("/").slice(1).reduce((part, name) => part[name], document);
    return { ...resolve(document, target), ...beside };
  }
  if (schema.oneOf) {
    const { oneOf, ...beside } = schema;
    const options = oneOf.filter((option) => option.type !== "null");
    if (options.length === 1) return { ...beside, ...resolve(document, options[0]) };
  }
  if (Array.isArray(schema.type)) return { ...schema, type: schema.type.find((type) => type !== "null") };
  return schema;
}

/** The schema of the data of an event that clients propose, or null if the event has no data. */
export function dataSchema(document, type) {
  const event = document.components.schemas[type];
  const data = event?.properties.data && resolve(document, event.properties.data);
  return data?.properties && Object.keys(data.properties).length > 0 ? data : null;
}

/** The kind of control that a schema needs. */
export function kindOf(document, schema) {
  if (schema.enum) return "choice";
  if (schema.type === "integer" || schema.type === "boolean") return schema.type;
  if (schema.type === "array") {
    const item = resolve(document, schema.items);
    const members = Object.keys(item.properties ?? {}).sort().join();
    return members === "line_id,quantity" ? "units" : "list";
  }
  if (schema.type === "object") return schema.properties ? "object" : "map";
  return (schema.maxLength ?? 0) >= 500 ? "text" : "line";
}

/** A value without what is empty, so that it is absent in the request. */
export function pruned(value) {
  if (Array.isArray(value)) {
    const items = value.map(pruned).filter((item) => item !== undefined);
    return items.length > 0 ? items : undefined;
  }
  if (value !== null && typeof value === "object") {
    const members = Object.entries(value).map(([name, member]) => [name, pruned(member)]).filter(([, member]) => member !== undefined);
    return members.length > 0 ? Object.fromEntries(members) : undefined;
  }
  return value === "" || value === undefined || Number.isNaN(value) ? undefined : value;
}
