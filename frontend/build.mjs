// Bundles the scripts and styles of the reports (report.*) and of the pages (site.*, and memory.* for the page of memory alone) into the package, and the style of the soak's verdict (soak.css), which is one file by itself.
//
//   npm ci && node build.mjs
//
// Reports store their css and js by content hash in the archive, so report.* keep plain names. The pages' files get a hash in
// their name, which manifest.json tells: {"site.js": "site-1A2B3C4D.js"}; they can then be served as immutable.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const source = (name) => join(here, "src", name);
const target = join(here, "..", "src", "evertick", "web", "static", "dist");

// The report's css and js are required; the pages' are bundled where they exist.
const entries = ["report.css", "report.js", "site.css", "site.js", "memory.css", "memory.js", "soak.css"].filter((name) => existsSync(source(name)));

// Copied as they are: the interface of /docs, which must work without a network.
const copies = {
  "swagger-ui.css": "swagger-ui-dist/swagger-ui.css",
  "swagger-ui-bundle.js": "swagger-ui-dist/swagger-ui-bundle.js",
};

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });

await build({
  entryPoints: entries.map(source),
  outdir: target,
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome123", "firefox120", "safari17.5"],
  legalComments: "inline",
  charset: "utf8",
  logLevel: "warning",
});

const files = Object.fromEntries(
  [
    ...entries.filter((name) => !name.startsWith("report.") && !name.startsWith("soak.")).map((name) => [name, join(target, name)]),
    ...Object.entries(copies).map(([name, from]) => [name, join(here, "node_modules", from)]),
  ],
);
const manifest = {};
for (const [name, from] of Object.entries(files)) {
  const hash = createHash("sha256").update(await readFile(from)).digest("hex").slice(0, 10);
  const dot = name.lastIndexOf(".");
  manifest[name] = `${name.slice(0, dot)}-${hash}${name.slice(dot)}`;
  await copyFile(from, join(target, manifest[name]));
}
await writeFile(join(target, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);

for (const name of [...entries, ...Object.values(manifest)]) {
  const { size } = await stat(join(target, name));
  console.log(`${name.padEnd(36)} ${(size / 1024).toFixed(1).padStart(8)} KB`);
}
