// Compares Terraform configuration with its canonical format, by the formatter of HashiCorp's HCL library, which terraform fmt
// uses as well. .ci/terraform calls it: node fmt.js FOLDER [--write]
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { format } = require("@cdktf/hcl-tools");

function* files(folder) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory() && entry.name !== ".terraform") yield* files(file);
    else if (entry.name.endsWith(".tf")) yield file;
  }
}

async function main() {
  const [folder, option] = process.argv.slice(2);
  let [checked, changed] = [0, 0];
  for (const file of files(folder)) {
    const text = fs.readFileSync(file, "utf8");
    const formatted = await format(text);
    checked += 1;
    if (formatted === text) continue;
    changed += 1;
    console.log(file);
    if (option === "--write") fs.writeFileSync(file, formatted);
  }
  if (checked === 0) throw new Error(`${folder} has no configuration`);
  console.log(`format: ${checked} files, ${changed} of them not formatted`);
  process.exit(changed > 0 && option !== "--write" ? 1 : 0);
}

main().catch((error) => {
  console.error(`error: ${error.message}`);
  process.exit(2);
});
