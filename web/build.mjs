// SPDX-License-Identifier: Apache-2.0
// Bundles one page into one file without anything to load: node build.mjs NODE_MODULES_DIR PAGE OUTPUT. The page's
// content security policy names its script and style by their hashes; @DATA@ and @NOSCRIPT@ are left for memcrest.
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

const script = inside(await bundle('main.js'), 'script');
const style = inside(await bundle('main.css'), 'style');
const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; connect-src 'none'; ` +
  "img-src data:; base-uri 'none'; form-action 'none'";
const licences = readFileSync(join(source, 'LICENSES.md'), 'utf8').replaceAll('--', '- -').trim();
const fill = { POLICY: policy, STYLE: style, SCRIPT: script, LICENCES: licences };
const html = readFileSync(join(source, page, 'index.html'), 'utf8')
  .replace(/@(POLICY|STYLE|SCRIPT|LICENCES)@/g, (_, name) => fill[name]);
for (const mark of ['@DATA@', '@NOSCRIPT@']) {
  if (html.split(mark).length !== 2) throw new Error(`${mark} must be in the page once`);
}
writeFileSync(`${output}.tmp`, html);
renameSync(`${output}.tmp`, output);
