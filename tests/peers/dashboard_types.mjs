// SPDX-License-Identifier: Apache-2.0
// dashboard_types.mjs PEERS DASHBOARD: whether a Grafana dashboard is of the type that Grafana's own schema gives it, by
// TypeScript. Prints what does not fit and ends with 1 then.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [peers, dashboard] = process.argv.slice(2);
const types = join(peers, 'node_modules/@grafana/schema/dist/esm');
const work = mkdtempSync(join(tmpdir(), 'memcrest-dashboard.'));

// JSON has words where the schema has enums: as unions of their values they are the same.
function enumsAsUnions(text) {
  return text.replace(/\b(declare )?enum (\w+) \{([^}]*)\}/g, (_, declare, name, body) => {
    const values = [...body.matchAll(/=\s*("[^"]*"|-?\d+)/g)].map((match) => match[1]);
    return `${declare ?? ''}type ${name} = ${values.join(' | ')};`;
  });
}

// Of Prometheus's own plugin, which the schema of dashboards knows nothing of.
function withPlugin(text) {
  return text.replace(/interface DataQuery(\$1)? \{/g, '$& expr?: string;');
}
const pluginKeys = /^ *"(useValueForTime|titleFormat|textFormat|tagKeys)":.*\n/gm;

try {
  writeFileSync(join(work, 'schema.d.mts'), withPlugin(enumsAsUnions(readFileSync(join(types, 'index.d.mts'), 'utf8'))));
  const json = readFileSync(dashboard, 'utf8').replace(pluginKeys, '');
  writeFileSync(join(work, 'dashboard.mts'),
    `import type { Dashboard } from './schema.mjs';\nexport const dashboard: Dashboard = ${json};\n`);
  execFileSync(process.execPath, [join(peers, 'node_modules/typescript/lib/tsc.js'), '--noEmit', '--strict', '--module',
    'nodenext', '--skipLibCheck', join(work, 'dashboard.mts')], { stdio: 'inherit' });
} catch (error) {
  process.exitCode = 1;
  if (error.status === undefined) {
    console.error(error);
  }
} finally {
  rmSync(work, { recursive: true });
}
