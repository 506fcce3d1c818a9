// Bundles the page: node build.mjs OUT. One script, one style sheet, one page, the licences of what is in them; nothing is loaded from elsewhere.
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";

const out = process.argv[2] ?? "../labd/api/page";
await mkdir(out, { recursive: true });
const { metafile } = await build({
  entryPoints: ["src/page.tsx", "src/page.css"],
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});
for (const name of ["index.html", "icon.svg"]) await copyFile(name, join(out, name));
await writeFile(join(out, "LICENSES.txt"), await licences(Object.keys(metafile.inputs)));

/** Of each package that a bundled file comes from; the text must go wherever the code goes. Fails where a package has none. */
async function licences(files) {
  const folders = new Set(files.map((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0]).filter(Boolean));
  const texts = [...folders].sort().map(async (folder) => {
    const { name, version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    return `${name} ${version} (${license})\n\n${(await readFile(join(folder, "LICENSE"), "utf8")).trim()}\n`;
  });
  return `labd's page contains:\n\n${(await Promise.all(texts)).join(`\n${"-".repeat(72)}\n\n`)}`;
}
