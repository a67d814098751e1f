import { podOf } from '../core/endpoint-slice.ts';
import type { EndpointSlice } from '../core/endpoint-slice.ts';

/** Which slices name a pod; a pod stands in one for each Service, address family and set of ports. */
export interface SliceIndex {
  set(key: string, slice: EndpointSlice | undefined): void;
  byPod(namespace: string, name: string): Iterable<string>;
  byNamespace(namespace: string): Iterable<string>;
}

export function createSliceIndex(): SliceIndex {
  const podsOfSlice = new Map<string, readonly string[]>();
  const slicesOfPod = new Map<string, Set<string>>();
  const slicesOfNamespace = new Map<string, Set<string>>();
  return {
    set(key, slice) {
      const namespace = key.slice(0, key.indexOf('/'));
      for (const pod of podsOfSlice.get(key) ?? []) drop(slicesOfPod, pod, key);
      podsOfSlice.delete(key);
      drop(slicesOfNamespace, namespace, key);
      if (slice === undefined) return;
      const pods = (slice.endpoints ?? []).flatMap((endpoint) => {
        const pod = podOf(endpoint, slice);
        return pod === undefined ? [] : [`${pod.namespace}/${pod.name}`];
      });
      podsOfSlice.set(key, pods);
      put(slicesOfNamespace, namespace, key);
      for (const pod of pods) put(slicesOfPod, pod, key);
    },
    byPod: (namespace, name) => slicesOfPod.get(`${namespace}/${name}`) ?? [],
    byNamespace: (namespace) => slicesOfNamespace.get(namespace) ?? [],
  };
}

function put(groups: Map<string, Set<string>>, group: string, key: string): void {
  groups.set(group, (groups.get(group) ?? new Set()).add(key));
}

function drop(groups: Map<string, Set<string>>, group: string, key: string): void {
  const keys = groups.get(group);
  if (keys?.delete(key) === true && keys.size === 0) groups.delete(group);
}
