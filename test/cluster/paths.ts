import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Where built programs and images are kept between runs, outside the checkout: HOT_SWITCH_CACHE, else the user's cache folder. */
export const CACHE = process.env['HOT_SWITCH_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'hot-switch');

/** Below it, one folder for each running lab. */
export const LABS = join(tmpdir(), 'hot-switch-labs');

/** Set inside a lab's namespaces: the folder of that lab. */
export const LAB_ENV = 'HOT_SWITCH_LAB';
