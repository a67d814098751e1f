import type { Pod } from '../../src/core/pod.ts';

/** A pod as Istio's injector leaves it (native sidecar), without gates, labels or annotations of ours. */
export function meshedPod(change: { readonly metadata?: Partial<Pod['metadata']>; readonly spec?: Partial<Pod['spec']> } = {}): Pod {
  return {
    metadata: { generateName: 'shop-', namespace: 'demo', ...change.metadata },
    spec: {
      containers: [{ name: 'app', ports: [{ containerPort: 8080 }] }],
      initContainers: [
        { name: 'istio-init', args: ['istio-iptables', '-p', '15001'] },
        {
          name: 'istio-proxy',
          args: ['proxy', 'sidecar', '--domain', '$(POD_NAMESPACE).svc.cluster.local'],
          env: [{ name: 'ISTIO_META_INTERCEPTION_MODE', value: 'REDIRECT' }],
          restartPolicy: 'Always',
        },
      ],
      ...change.spec,
    },
  };
}
