// The packages that others wrote, from where tests/run has put them.
import { createRequire } from 'node:module';
import path from 'node:path';

const folder =
  process.env.WARDGATE_NODE_MODULES ??
  path.resolve(import.meta.dirname, '../../target/node/node_modules');
export const load = createRequire(path.join(path.resolve(folder), 'here.js'));
