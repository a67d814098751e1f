/** A process with a live screen, to be interrupted by a test; with the argument 'decides' it has a signal handler of its own. */
import { createScreen } from '../../demo/screen.ts';
import { makeModel } from './models.ts';

if (process.argv[2] === 'decides') {
  let told = 0;
  process.on('SIGINT', () => {
    told += 1;
    setTimeout(() => process.exit(told === 1 ? 7 : 8), 100);
  });
}
const screen = createScreen({ out: process.stdout, columns: 80, isTTY: true, colour: false });
screen.update(makeModel());
if (process.argv[2] === 'throws') throw new Error('something went wrong');
setInterval(() => screen.update(makeModel()), 20);
