import type { Condition, Pod } from '../../core/pod.ts';
import { ApiError, type KubeApi } from './transport.ts';

/** One pod and no other that takes its name later. */
export interface PodRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface PodStatusPatch {
  /** null removes. */
  readonly labels?: Readonly<Record<string, string | null>>;
  /** null removes. */
  readonly annotations?: Readonly<Record<string, string | null>>;
  /** Merged by type; the conditions of others stay. */
  readonly conditions?: readonly Condition[];
}

/**
 * Sets labels, annotations and conditions in one write of `pods/status`; resolves to the pod after it, or 'gone' when this pod
 * (by UID) is not there any more. Throws ApiError. Does not look whether anything changes: that is the caller's to skip.
 */
export async function patchPodStatus(api: KubeApi, ref: PodRef, patch: PodStatusPatch): Promise<Pod | 'gone'> {
  const path = `/api/v1/namespaces/${encodeURIComponent(ref.namespace)}/pods/${encodeURIComponent(ref.name)}/status`;
  const body = {
    metadata: {
      uid: ref.uid,
      ...(patch.labels !== undefined && { labels: patch.labels }),
      ...(patch.annotations !== undefined && { annotations: patch.annotations }),
    },
    ...(patch.conditions !== undefined && { status: { conditions: patch.conditions } }),
  };
  try {
    return await api.patch<Pod>(path, 'strategic', body);
  } catch (error) {
    if (error instanceof ApiError && isGone(error)) return 'gone';
    throw error;
  }
}

/** A UID that differs is "Precondition failed: UID in precondition …" (409) or "metadata.uid: … field is immutable" (422). */
function isGone(error: ApiError): boolean {
  if (error.status === 404) return error.reason === 'NotFound';
  return (error.status === 409 || error.status === 422) && /\buid\b/i.test(error.message);
}
