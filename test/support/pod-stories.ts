import { expect, test } from '@jest/globals';
import { parseBypassRecord, type BypassRecord } from '../../src/api/bypass-record.ts';
import { BYPASS_RECORD } from '../../src/api/keys.ts';
import { redirectionOf, type RedirectionState } from '../../src/core/netfilter/detach.ts';
import { BYPASSED, makeScene, MESHED, type Scene, type SceneOptions } from './pod-scene.ts';
import { ruleset } from './simulated-iptables.ts';

let about = '';

/** Names what its stories are about; no block of jest's, since those run one after the other. */
export function chapter(name: string, stories: () => void): void {
  about = name;
  stories();
}

/** A story of one pod under a loop of its own; all of a file run side by side, since most of each is waiting. */
export function story(sentence: string, options: SceneOptions, tell: (scene: Scene) => Promise<unknown>): void {
  test.concurrent.each([`${about}: ${sentence}`])('%s', async () => {
    const scene = await makeScene(options);
    try {
      await tell(scene);
      expect(scene.lines.filter(({ message }) => message === 'a round failed')).toEqual([]);
    } finally {
      await scene.stop();
    }
  });
}

/** What the rules in the pod say. */
export function rules({ network }: Scene): RedirectionState {
  return redirectionOf(ruleset(network.text));
}

/** The record that the pod carries. */
export function recordIn({ server }: Scene): BypassRecord | undefined {
  return parseBypassRecord(server.pod.metadata.annotations?.[BYPASS_RECORD]);
}

/** From a healthy sidecar to a dead one that is bypassed. */
export async function bypassed(scene: Scene): Promise<void> {
  await scene.until(MESHED);
  await scene.die();
  await scene.until(BYPASSED);
}
