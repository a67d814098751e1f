import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { parseRuleset } from '../../src/adapters/netns/iptables-save.ts';
import type { Networks, PodNetwork } from '../../src/agent/ports.ts';
import type { RulesetReading } from '../../src/core/netfilter/ruleset.ts';
import type { ListenersReading } from '../../src/core/proc-net.ts';
import { applied, withoutComments } from './simulated-iptables.ts';

/** The rules that Istio leaves in a pod, as iptables-save prints them. */
export const ATTACHED = withoutComments(readFileSync(join(import.meta.dirname, '../golden/iptables/redirect.save'), 'utf8'));

let made = 0;

/** A pod's network namespace with real rule texts; what listens in it is set by the test. */
export class FakePodNetwork implements PodNetwork {
  readonly sandbox: string;
  readonly probeServer: Server;
  readonly probePort: number;
  /** What iptables-save prints. */
  text = ATTACHED;
  ports: readonly number[] = [8080, 15001, 15006, 15021];
  /** Why the sockets cannot be read. */
  unreadable: string | undefined;
  /** How many of the next reads and changes of the rules fail. */
  failSaves = 0;
  failApplies = 0;
  /** Changes wait for it. */
  hold: Promise<void> = Promise.resolve();
  isValid = true;
  closed = false;
  saves = 0;
  applies = 0;
  poised = 0;

  constructor(probeServer: Server, probePort: number) {
    made += 1;
    this.sandbox = `sandbox-${made}`;
    this.probeServer = probeServer;
    this.probePort = probePort;
  }

  save(): Promise<RulesetReading> {
    this.saves += 1;
    if (this.failSaves > 0) {
      this.failSaves -= 1;
      return Promise.resolve({ known: false, why: 'iptables-save ended with code 4' });
    }
    return Promise.resolve(parseRuleset(this.text));
  }

  async apply(restoreText: string): Promise<void> {
    this.applies += 1;
    await this.hold;
    if (!this.isValid) throw new Error('the network namespace is not that of the pod any more');
    if (this.failApplies > 0) {
      this.failApplies -= 1;
      throw new Error('iptables-restore ended with code 1');
    }
    this.text = applied(this.text, restoreText);
  }

  poise(): void {
    this.poised += 1;
  }

  listeners(): Promise<ListenersReading> {
    if (this.unreadable !== undefined || !this.isValid) return Promise.resolve({ known: false, why: this.unreadable ?? 'the process is gone' });
    return Promise.resolve({ known: true, listeners: this.ports.map((port) => ({ port, address: 'any' })) });
  }

  valid(): Promise<boolean> {
    return Promise.resolve(this.isValid);
  }

  close(): Promise<void> {
    this.closed = true;
    this.probeServer.close();
    return Promise.resolve();
  }
}

/** A network whose probe server listens on a free port of loopback; `probePort` is what its rules name. */
export async function makePodNetwork(probePort?: number): Promise<FakePodNetwork> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return new FakePodNetwork(server, probePort ?? (server.address() as AddressInfo).port);
}

/** Gives the networks of the list in turn, the last one again and again; fails while `failOpens` lasts. */
export class FakeNetworks implements Networks {
  readonly list: FakePodNetwork[];
  failOpens = 0;
  opens = 0;

  constructor(...list: FakePodNetwork[]) {
    this.list = list;
  }

  open(): Promise<PodNetwork> {
    this.opens += 1;
    const [next] = this.list;
    if (this.failOpens > 0 || next === undefined) {
      this.failOpens -= 1;
      return Promise.reject(new Error('no process has the UID of the pod in its cgroup'));
    }
    if (this.list.length > 1) this.list.shift();
    return Promise.resolve(next);
  }
}
