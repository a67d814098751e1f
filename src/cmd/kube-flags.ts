import { z } from 'zod';

/** How to reach the API server; for every subcommand that does. */
export const KUBE_FLAGS = {
  kubeconfig: {
    value: 'FILE',
    description: 'Kubeconfig to use instead of the service account of the pod.',
    schema: z.string().min(1, 'must name a file').optional(),
  },
  context: {
    value: 'NAME',
    description: 'Context of the kubeconfig, if not its current one.',
    schema: z.string().min(1, 'must name a context').optional(),
  },
} as const;
