// Backs a source up into a folder, with a connector that runs under Node.
//
//   node backup.mjs CONNECTOR.wasm LOCATION FOLDER [NAME=VALUE]...
//
// The folder must not be there yet, and appears only once everything is proven.

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { transpile, writeFiles } from '@bytecodealliance/jco-transpile';

// How much is read at a time, in bytes.
const PIECE = 256 << 10;

// The cases of the contract's `error`, with the exit codes of the other hosts.
const EXIT_CODES = {
  'other': 1, 'invalid-config': 2, 'unreachable': 3, 'timed-out': 4, 'unauthenticated': 5,
  'permission-denied': 6, 'unsupported': 7, 'interrupted': 8, 'corrupt': 9,
};
const MISBEHAVED = 11;

/** The component as a module: `description.describe()`, `importer.Importer.open(…)`. */
async function load(connector) {
  const hash = createHash('sha256').update(fs.readFileSync(connector)).digest('hex');
  // Below this folder, where the module finds WASI.
  const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), 'node_modules', '.transpiled', hash);
  if (!fs.existsSync(folder)) {
    fs.mkdirSync(path.dirname(folder), { recursive: true });
    const scratch = fs.mkdtempSync(`${folder}-`);
    const { files } = await transpile(connector, { name: 'connector', outDir: scratch });
    await writeFiles(files);
    try {
      fs.renameSync(scratch, folder);
    } catch (error) {
      // Another run was faster.
      if (!fs.existsSync(folder)) throw error;
      fs.rmSync(scratch, { recursive: true });
    }
  }
  return import(path.join(folder, 'connector.js'));
}

/** What the user typed, as the contract passes it on. */
function options({ protocols }, location, settings) {
  const protocol = protocols.find(({ name }) => location.startsWith(`${name}://`));
  if (!protocol) throw { tag: 'invalid-config', val: `location \`${location}\`: unknown protocol` };
  const { hostname, port } = new URL(location);
  const host = hostname.replace(/^\[|\]$/g, '');
  return {
    protocol: protocol.name,
    authorities: [{ host, port: Number(port) || protocol.defaultPort, tls: protocol.tls }],
    config: [['location', location], ...settings.map((setting) => setting.split(/=(.*)/s, 2))],
    // Nothing is hashed here, so the component does it.
    digests: [],
  };
}

/** Writes one record below `folder`; returns how many bytes of content it has. */
function store(folder, { pathname, mode, content }) {
  const place = path.join(folder, pathname);
  if (content.tag === 'directory') {
    fs.mkdirSync(place, { recursive: true });
    return 0;
  }
  fs.mkdirSync(path.dirname(place), { recursive: true });
  const file = fs.openSync(place, 'wx', mode);
  const reader = content.val;
  let bytes = 0;
  for (let piece; (piece = reader.read(PIECE)); bytes += piece.length) {
    fs.writeFileSync(file, piece);
  }
  fs.fsyncSync(file);
  fs.closeSync(file);
  reader[Symbol.dispose]();
  return bytes;
}

async function backup(connector, location, folder, settings) {
  if (fs.existsSync(folder)) throw { tag: 'invalid-config', val: `\`${folder}\` is there already` };
  const { description, importer } = await load(connector);
  const source = importer.Importer.open(options(description.describe(), location, settings));
  const partial = fs.mkdtempSync(`${folder}.partial-`);
  try {
    const run = source.start();
    for (let step; (step = run.next()).tag !== 'finished'; ) {
      // Each record is acknowledged before the next one is asked for.
      if (step.tag !== 'next') throw new Error('the component waits for nothing');
      const bytes = store(partial, step.val);
      run.ack(step.val.id, { tag: 'stored', val: BigInt(bytes) });
    }
    run.finish();
    fs.renameSync(partial, folder);
    for (const { name, value } of run.facts()) console.log(`${name}: ${value}`);
  } finally {
    fs.rmSync(partial, { recursive: true, force: true });
  }
}

const [connector, location, folder, ...settings] = process.argv.slice(2);
if (!folder) {
  console.error('usage: node backup.mjs CONNECTOR.wasm LOCATION FOLDER [NAME=VALUE]...');
  process.exit(2);
}
try {
  await backup(connector, location, folder, settings);
} catch (error) {
  // jco throws the error of a result with the contract's case as its payload.
  const { tag, val } = error.payload ?? error;
  console.error(`error: ${val ?? error.stack ?? error}`);
  process.exitCode = EXIT_CODES[tag] ?? MISBEHAVED;
}
