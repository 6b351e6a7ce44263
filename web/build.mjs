// Builds the page into dist: names with digests, and each file also as .br and .gz. `--tests` bundles the tests instead.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

// Bytes of all files together, as browsers get them.
const BUDGET = 90 * 1024;

const here = new URL(".", import.meta.url).pathname;
process.chdir(here);

if (process.argv.includes("--tests")) {
  rmSync("../target/web-test", { recursive: true, force: true });
  const tests = readdirSync("test").filter((name) => name.endsWith(".test.ts"));
  await build({
    entryPoints: tests.map((name) => `test/${name}`),
    outdir: "../target/web-test",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    external: ["node:*"],
  });
  process.exit(0);
}

// Names hold digests of what is in the files. All of the page is one script, so that a saved page can have it inside; what the
// first screen does not need is in functions that are not run, and by that hardly read, until it is asked for.
const result = await build({
  entryPoints: ["src/main.tsx", "src/styles.css"],
  outdir: "assets",
  entryNames: "[name].[hash]",
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  format: "iife",
  target: ["es2022", "chrome108", "firefox115", "safari16"],
  jsx: "automatic",
  jsxImportSource: "preact",
  define: { "process.env.NODE_ENV": '"production"' },
  legalComments: "external",
});

const brotli = (bytes) =>
  brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });

// The folder itself stays: git knows it by a file in it.
mkdirSync("dist/assets", { recursive: true });
for (const name of readdirSync("dist")) {
  if (name !== ".keep") rmSync(`dist/${name}`, { recursive: true });
}
mkdirSync("dist/assets");

let total = 0;
const write = (name, bytes) => {
  const small = brotli(bytes);
  total += small.length;
  writeFileSync(`dist/${name}`, bytes);
  writeFileSync(`dist/${name}.br`, small);
  writeFileSync(`dist/${name}.gz`, gzipSync(bytes, { level: 9 }));
  console.log(`${name}: ${bytes.length} bytes, ${small.length} in brotli`);
};

const outputs = Object.entries(result.metafile.outputs);
const entry = (source) => outputs.find(([, output]) => output.entryPoint === source);
const named = { "main.js": entry("src/main.tsx")[0], "styles.css": entry("src/styles.css")[0] };
let licences = "";
for (const file of result.outputFiles) {
  const base = file.path.split("/").pop();
  if (base.endsWith(".LEGAL.txt")) licences += file.text;
  else write(`assets/${base}`, Buffer.from(file.contents));
}
for (const name of ["preact", "@preact/signals", "@preact/signals-core", "uplot"]) {
  licences += `\n${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8")}`;
}
writeFileSync("dist/assets/licences.txt", licences);

// The browser asks for the first figures while it still reads the script, which takes the answer from there.
const { outputFiles: [metrics] } = await build({ entryPoints: ["src/screens/now/metrics.ts"], bundle: true, write: false, format: "esm" });
const { USUAL } = await import(`data:text/javascript;base64,${Buffer.from(metrics.contents).toString("base64")}`);

let index = readFileSync("index.html", "utf8").replace('"figures"', `"${USUAL.replaceAll("&", "&amp;")}"`);
for (const [base, path] of Object.entries(named)) {
  index = index.replaceAll(`"${base}"`, `"/${path}"`);
}
// A saved page permits this script alone.
const script = result.outputFiles.find((file) => file.path.endsWith(named["main.js"]));
const digest = createHash("sha256").update(script.contents).digest("base64");
if (/<\/script|<!--/i.test(script.text)) throw new Error("the script cannot stand inside a page");
index = index.replace("<script defer", `<script defer integrity="sha256-${digest}"`);
write("index.html", Buffer.from(index));

console.log(`in all ${total} bytes in brotli, of ${BUDGET}`);
if (total > BUDGET) {
  console.error("that is too much");
  process.exit(1);
}
