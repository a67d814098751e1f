import type { PodWriter } from '../../src/agent/ports.ts';
import type { Reason } from '../../src/api/reasons.ts';
import type { Pod } from '../../src/core/pod.ts';
import type { StatusChange } from '../../src/core/pod-status.ts';
import { applyStatus } from './apply-status.ts';

/** An API server that holds one pod. */
export class FakePodWriter implements PodWriter {
  pod: Pod;
  /** How many of the next writes fail; Infinity: until further notice. */
  failWrites = 0;
  /** Writes that fail after all were carried out: their answer is lost. */
  loseAnswers = 0;
  gone = false;
  /** What becomes of a pod that was written, e.g. when somebody takes it back. */
  meddle: (pod: Pod) => Pod = (pod) => pod;
  /** Answers wait for it. */
  hold: Promise<void> = Promise.resolve();
  readonly writes: StatusChange[] = [];
  tries = 0;
  readonly events: { readonly type: string; readonly reason: Reason; readonly message: string }[] = [];
  /** Told of every new version, like a watch. */
  onChange: (pod: Pod) => void = () => undefined;

  constructor(pod: Pod) {
    this.pod = pod;
  }

  async write(_pod: Pod, change: StatusChange): Promise<Pod | 'gone'> {
    this.tries += 1;
    await this.hold;
    if (this.gone) return 'gone';
    if (this.failWrites > 0) {
      this.failWrites -= 1;
      throw new Error('connect ECONNREFUSED');
    }
    this.writes.push(change);
    this.set(this.meddle(applyStatus(this.pod, change)));
    if (this.loseAnswers > 0) {
      this.loseAnswers -= 1;
      throw new Error('socket hang up');
    }
    return this.pod;
  }

  record(_pod: Pod, type: 'Normal' | 'Warning', reason: Reason, message: string): void {
    this.events.push({ type, reason, message });
  }

  /** A change of somebody else, e.g. of kubelet. */
  set(pod: Pod): void {
    const resourceVersion = String(Number(this.pod.metadata.resourceVersion) + 1);
    this.pod = { ...pod, metadata: { ...pod.metadata, resourceVersion } };
    const now = this.pod;
    setImmediate(() => this.onChange(now));
  }

  reasons(): readonly Reason[] {
    return this.events.map(({ reason }) => reason);
  }
}
