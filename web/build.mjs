// Bundles the page into dist/ (which the binary embeds), or with --test the tests into dist-test/.
import { build } from "esbuild";
import { cp, mkdir, readdir, rm, writeFile } from "node:fs/promises";

const jsx = { jsx: "automatic", jsxImportSource: "preact" };

if (process.argv.includes("--test")) {
  await rm("dist-test", { recursive: true, force: true });
  const tests = (await readdir("test")).filter((f) => f.endsWith(".test.ts")).map((f) => `test/${f}`);
  await build({ entryPoints: tests, bundle: true, platform: "node", format: "esm", outdir: "dist-test", outExtension: { ".js": ".mjs" }, ...jsx });
} else {
  await rm("dist", { recursive: true, force: true });
  await mkdir("dist", { recursive: true });
  await build({
    entryPoints: { app: "src/main.tsx" }, bundle: true, minify: true, sourcemap: false, target: "es2022",
    format: "esm", outdir: "dist", ...jsx,
  });
  await cp("src/index.html", "dist/index.html");
  await writeFile("dist/.gitkeep", "");
}
