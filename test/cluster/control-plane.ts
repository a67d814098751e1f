import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Programs } from './build.ts';
import { NODE_IP, POD_CIDR, SERVICE_CIDR, startDaemon, until, type Daemon } from './host.ts';

export const API_SERVER = `https://${NODE_IP}:6443`;
export const NODE_NAME = 'lab-node';

export interface ControlPlane {
  readonly kubeconfig: string;
  readonly caFile: string;
  readonly adminToken: string;
  apiServer: Daemon;
  controllerManager: Daemon;
  /** Starts kube-apiserver again after it was stopped, and waits until it is ready. */
  restartApiServer(): Promise<void>;
}

/** Starts etcd, kube-apiserver, kube-controller-manager and kube-scheduler, each the real program. */
export async function startControlPlane(folder: string, programs: Programs, kubectl: (...args: string[]) => Promise<string>): Promise<ControlPlane> {
  const pki = join(folder, 'pki');
  mkdirSync(pki, { recursive: true });
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(join(pki, 'sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
  writeFileSync(join(pki, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  const adminToken = randomBytes(16).toString('hex');
  writeFileSync(join(pki, 'tokens.csv'), `${adminToken},lab-admin,lab-admin,system:masters\n`, { mode: 0o600 });

  const etcd = startDaemon(folder, 'etcd', programs.kubernetes, [
    'etcd',
    '--data-dir',
    join(folder, 'etcd'),
    '--unsafe-no-fsync',
    '--log-level',
    'warn',
    '--listen-client-urls',
    'http://127.0.0.1:2379',
    '--advertise-client-urls',
    'http://127.0.0.1:2379',
    '--listen-peer-urls',
    'http://127.0.0.1:2380',
    '--initial-advertise-peer-urls',
    'http://127.0.0.1:2380',
    '--initial-cluster',
    'default=http://127.0.0.1:2380',
  ]);
  const startApiServer = (): Daemon => startDaemon(folder, 'kube-apiserver', programs.kubernetes, apiServerFlags(pki));
  let apiServer = startApiServer();
  const caFile = join(pki, 'apiserver.crt');
  const kubeconfig = join(folder, 'admin.kubeconfig');
  await until('kube-apiserver’s certificate', 30_000, () => readFileSync(caFile, 'utf8').includes('END CERTIFICATE') || undefined, apiServer);
  writeFileSync(kubeconfig, kubeconfigOf(readFileSync(caFile, 'utf8'), adminToken), { mode: 0o600 });
  const apiReady = (): Promise<unknown> =>
    until('kube-apiserver', 60_000, async () => ((await kubectl('get', '--raw', '/readyz')) === 'ok' ? true : undefined), apiServer);
  await apiReady();
  if (etcd.process.exitCode !== null) throw new Error(`etcd ended: ${readFileSync(etcd.logFile, 'utf8').slice(-1000)}`);

  const controllerManager = startDaemon(folder, 'kube-controller-manager', programs.kubernetes, [
    'kube-controller-manager',
    '--kubeconfig',
    kubeconfig,
    '--service-account-private-key-file',
    join(pki, 'sa.key'),
    '--root-ca-file',
    caFile,
    '--leader-elect=false',
    '--use-service-account-credentials',
    '--allocate-node-cidrs=false',
    `--cluster-cidr=${POD_CIDR}`,
    '--authentication-skip-lookup',
    '--bind-address=127.0.0.1',
  ]);
  startDaemon(folder, 'kube-scheduler', programs.kubernetes, [
    'kube-scheduler',
    '--kubeconfig',
    kubeconfig,
    '--leader-elect=false',
    '--authentication-skip-lookup',
    '--bind-address=127.0.0.1',
  ]);
  return {
    kubeconfig,
    caFile,
    adminToken,
    get apiServer() {
      return apiServer;
    },
    controllerManager,
    restartApiServer: async () => {
      await apiServer.stop('SIGKILL');
      apiServer = startApiServer();
      await apiReady();
    },
  };
}

function apiServerFlags(pki: string): string[] {
  return [
    'kube-apiserver',
    '--etcd-servers=http://127.0.0.1:2379',
    `--service-cluster-ip-range=${SERVICE_CIDR}`,
    `--service-account-key-file=${join(pki, 'sa.pub')}`,
    `--service-account-signing-key-file=${join(pki, 'sa.key')}`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--token-auth-file=${join(pki, 'tokens.csv')}`,
    '--authorization-mode=Node,RBAC',
    '--allow-privileged=true',
    `--bind-address=${NODE_IP}`,
    `--advertise-address=${NODE_IP}`,
    '--secure-port=6443',
    `--cert-dir=${pki}`,
    '--tls-cert-file=',
    '--tls-private-key-file=',
    '--kubelet-preferred-address-types=InternalIP',
    '--endpoint-reconciler-type=none',
    '--profiling=false',
  ].filter((flag) => !flag.endsWith('='));
}

/** A kubeconfig with one user, by bearer token. `ca` is PEM. */
export function kubeconfigOf(ca: string, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'lab', cluster: { server: API_SERVER, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
    users: [{ name: 'user', user: { token } }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'user' } }],
    'current-context': 'lab',
  });
}
