// SPDX-License-Identifier: Apache-2.0
// Bundles one page: node build.mjs NODE_MODULES_DIR PAGE OUTPUT. The report becomes one file without anything to load: its
// content security policy names its script and style by their hashes; @DATA@ and @NOSCRIPT@ are left for memcrest. The
// live page, which the agent serves, becomes three files: OUTPUT.html, OUTPUT.js, OUTPUT.css.
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const [modules, page, output] = process.argv.slice(2);
const source = dirname(fileURLToPath(import.meta.url));
const require = createRequire(join(resolve(modules), 'node_modules', 'x.js'));
const esbuild = require('esbuild');

async function bundle(entry) {
  const built = await esbuild.build({
    entryPoints: [join(source, page, entry)],
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    target: ['es2020', 'chrome100', 'firefox100', 'safari15'],
    legalComments: 'none',
    charset: 'utf8',
    loader: entry.endsWith('.js') ? { '.css': 'empty' } : {}, // a library's style comes with main.css
    nodePaths: [join(resolve(modules), 'node_modules')],
    logLevel: 'warning',
  });
  return built.outputFiles[0].text.trim();
}

const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
// What would end the element that holds it.
const inside = (text, what) => {
  if (new RegExp(`</${what}`, 'i').test(text)) throw new Error(`the bundle holds </${what}`);
  return text;
};

function write(path, text) {
  writeFileSync(`${path}.tmp`, text);
  renameSync(`${path}.tmp`, path);
}
const licences = readFileSync(join(source, 'LICENSES.md'), 'utf8').replaceAll('--', '- -').replaceAll('*/', '* /').trim();

if (page === 'live') {
  write(`${output}.css`, `${await bundle('main.css')}\n`);
  write(`${output}.js`, `/*\n${licences}\n*/\n${await bundle('main.js')}\n`);
  write(`${output}.html`, readFileSync(join(source, page, 'index.html'), 'utf8'));
  process.exit(0);
}
const script = inside(await bundle('main.js'), 'script');
const style = inside(await bundle('main.css'), 'style');
const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; connect-src 'none'; ` +
  "img-src data:; base-uri 'none'; form-action 'none'";
const fill = { POLICY: policy, STYLE: style, SCRIPT: script, LICENCES: licences };
const html = readFileSync(join(source, page, 'index.html'), 'utf8')
  .replace(/@(POLICY|STYLE|SCRIPT|LICENCES)@/g, (_, name) => fill[name]);
for (const mark of ['@DATA@', '@NOSCRIPT@']) {
  if (html.split(mark).length !== 2) throw new Error(`${mark} must be in the page once`);
}
write(output, html);
