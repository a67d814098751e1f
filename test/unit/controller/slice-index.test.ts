import { expect, test } from '@jest/globals';
import { createSliceIndex } from '../../../src/controller/slice-index.ts';
import { makeEndpoint, makeSlice } from '../../support/endpoint-scene.ts';

const other = makeEndpoint({ targetRef: { kind: 'Pod', namespace: 'shop', name: 'web-b', uid: 'uid-b' } });

test('finds slices by pod and namespace, and follows their changes', () => {
  const index = createSliceIndex();
  index.set('shop/one', makeSlice([makeEndpoint(), other]));
  index.set('shop/two', makeSlice([makeEndpoint(), makeEndpoint()]));
  expect([...index.byPod('shop', 'web-a')]).toEqual(['shop/one', 'shop/two']);
  expect([...index.byPod('shop', 'web-b')]).toEqual(['shop/one']);
  index.set('shop/one', makeSlice([other]));
  expect([...index.byPod('shop', 'web-a')]).toEqual(['shop/two']);
  index.set('shop/two', undefined);
  expect([[...index.byPod('shop', 'web-a')], [...index.byPod('shop', 'web-b')], [...index.byNamespace('shop')]]).toEqual([[], ['shop/one'], ['shop/one']]);
});

test('what stands for no pod is in no group but its namespace', () => {
  const index = createSliceIndex();
  index.set('shop/one', makeSlice([{ conditions: { ready: true } }]));
  expect([[...index.byPod('shop', '')], [...index.byNamespace('shop')], [...index.byNamespace('sho')]]).toEqual([[], ['shop/one'], []]);
});
