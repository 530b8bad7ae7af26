// Shared helpers of the TypeScript checks.

export const WAIT = "wait=20";

export const address = ((): string => {
  const address = process.argv[2];
  if (address === undefined) throw new Error("usage: node CLIENT.js URL");
  return address;
})();

export function assert(holds: boolean, what: unknown): asserts holds {
  if (!holds) throw new Error(typeof what === "string" ? what : JSON.stringify(what));
}

/** Runs a client's checks. An error makes the process exit with status 1. */
export function run(client: string, places: () => Promise<string>): void {
  places().then(
    (order) => console.log(`TypeScript (${client}): order ${order} was placed, paid and read`),
    (error: unknown) => {
      console.error(`TypeScript (${client}):`, error);
      process.exitCode = 1;
    },
  );
}
