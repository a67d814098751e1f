import type { ObjectMeta } from '../../core/pod.ts';

/** Any object as the API server sends it; cast it to the shape that you read. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** `namespace/name`, or `name` where there are no namespaces. */
export function objectKey(object: KubeObject): string {
  const { namespace, name = '' } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/**
 * Whether version `a` is not newer than `b`. Resource versions of built-in types compare as decimal numbers
 * (kubernetes/enhancements 5504); of versions that are none, nothing is known: false.
 */
export function isNotNewer(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined || !NUMBER.test(a) || !NUMBER.test(b)) return false;
  return a.length === b.length ? a <= b : a.length < b.length;
}

const NUMBER = /^[1-9]\d*$/;
