// Bundles the page: node build.mjs OUT. One script, one style sheet, one page; nothing is loaded from elsewhere.
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";

const out = process.argv[2] ?? "../labd/api/page";
await mkdir(out, { recursive: true });
await build({
  entryPoints: ["src/page.tsx", "src/page.css"],
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "linked",
  logLevel: "warning",
});
for (const name of ["index.html", "icon.svg"]) await copyFile(name, join(out, name));
