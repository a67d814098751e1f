import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { EndpointSlice } from '../../src/core/endpoint-slice.ts';
import type { JsonPatchOperation } from '../../src/core/json-patch.ts';
import type { ObjectMeta } from '../../src/core/pod.ts';
import { applyPatch } from './json-patch.ts';

export type Resource = 'pods' | 'nodes' | 'services' | 'leases' | 'endpointslices';
export interface StoredObject {
  readonly metadata: ObjectMeta;
}

export interface SliceWrite {
  readonly key: string;
  readonly operations: readonly JsonPatchOperation[];
  readonly status: number;
  readonly atMs: number;
}

export interface EndpointCluster {
  readonly url: string;
  /** Every patch of a slice that reached the server, with its answer. */
  readonly writes: readonly SliceWrite[];
  /** Paths of single objects that were read. */
  readonly reads: readonly string[];
  put(resource: Resource, object: StoredObject): void;
  remove(resource: Resource, key: string): void;
  slice(key: string): EndpointSlice;
  /** Admission of slice patches, e.g. a webhook that turns them back. */
  admit: (slice: EndpointSlice) => EndpointSlice;
  /** Called before a patch is applied, e.g. to let somebody else write first. */
  beforeWrite: (key: string) => void;
  /** Status with which reads of single objects are refused; undefined: they are answered. */
  refuseReads: number | undefined;
  stop(): Promise<void>;
  start(): Promise<void>;
}

interface Watch {
  readonly resource: Resource;
  readonly matches: (object: StoredObject) => boolean;
  readonly response: ServerResponse;
}

const NAMESPACED = /^\/apis?\/.*\/namespaces\/([^/]+)\/(pods|services|leases|endpointslices)\/([^/]+)$/;

/** A small API server over real HTTP with what endpoints depend on: lists, watches with label selectors, reads, JSON patches of slices. */
export async function startEndpointCluster(): Promise<EndpointCluster> {
  const objects = new Map<Resource, Map<string, StoredObject>>();
  const watches = new Set<Watch>();
  const sockets = new Set<Socket>();
  const writes: SliceWrite[] = [];
  const reads: string[] = [];
  let version = 100;
  let port = 0;
  let server: Server;

  const collection = (resource: Resource): Map<string, StoredObject> => {
    const found = objects.get(resource) ?? new Map<string, StoredObject>();
    objects.set(resource, found);
    return found;
  };

  function store(resource: Resource, object: StoredObject): StoredObject {
    version += 1;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    const key = keyOf(stored);
    const before = collection(resource).get(key);
    collection(resource).set(key, stored);
    for (const watch of watches) {
      if (watch.resource !== resource) continue;
      const had = before !== undefined && watch.matches(before);
      if (watch.matches(stored)) tell(watch, had ? 'MODIFIED' : 'ADDED', stored);
      else if (had) tell(watch, 'DELETED', { ...before, metadata: { ...before.metadata, resourceVersion: String(version) } });
    }
    return stored;
  }

  function remove(resource: Resource, key: string): void {
    const before = collection(resource).get(key);
    if (before === undefined) return;
    version += 1;
    collection(resource).delete(key);
    const last = { ...before, metadata: { ...before.metadata, resourceVersion: String(version) } };
    for (const watch of watches) if (watch.resource === resource && watch.matches(before)) tell(watch, 'DELETED', last);
  }

  async function onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const url = new URL(request.url ?? '/', 'http://localhost');
    const single = NAMESPACED.exec(url.pathname);
    if (single !== null) {
      const [, namespace, resource, name] = single;
      const key = `${namespace}/${name}`;
      if (request.method === 'PATCH') patchSlice(key, JSON.parse(body) as JsonPatchOperation[], response);
      else read(resource as Resource, key, url.pathname, response);
      return;
    }
    const resource = url.pathname.split('/').at(-1) as Resource;
    const matches = selectorOf(url.searchParams.get('labelSelector'));
    if (url.searchParams.get('watch') !== 'true') {
      send(response, 200, { kind: 'List', metadata: { resourceVersion: String(version) }, items: [...collection(resource).values()].filter(matches) });
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    const watch = { resource, matches, response };
    const from = Number(url.searchParams.get('resourceVersion'));
    // Instead of a history: what changed since is told as changed. Enough for watches that begin right after their list.
    for (const object of collection(resource).values()) if (Number(object.metadata.resourceVersion) > from && matches(object)) tell(watch, 'MODIFIED', object);
    watches.add(watch);
    response.on('close', () => watches.delete(watch));
  }

  function read(resource: Resource, key: string, path: string, response: ServerResponse): void {
    reads.push(path);
    const found = collection(resource).get(key);
    if (cluster.refuseReads !== undefined) send(response, cluster.refuseReads, status(cluster.refuseReads, 'refused'));
    else if (found === undefined) send(response, 404, status(404, 'not found'));
    else send(response, 200, found);
  }

  function patchSlice(key: string, operations: readonly JsonPatchOperation[], response: ServerResponse): void {
    cluster.beforeWrite(key);
    const before = collection('endpointslices').get(key);
    const answer = (code: number, body: unknown): void => {
      writes.push({ key, operations, status: code, atMs: performance.now() });
      send(response, code, body);
    };
    if (before === undefined) return answer(404, status(404, 'not found'));
    try {
      const after = cluster.admit(applyPatch<EndpointSlice>(before, structuredClone(operations)));
      // A write that changes nothing makes no new version and no event, as in the real one.
      const unchanged = JSON.stringify(after.endpoints) === JSON.stringify((before as EndpointSlice).endpoints);
      answer(200, unchanged ? before : store('endpointslices', after));
    } catch (error) {
      answer(422, status(422, String(error)));
    }
  }

  const cluster: EndpointCluster = {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    writes,
    reads,
    put: (resource, object) => void store(resource, object),
    remove,
    slice: (key) => collection('endpointslices').get(key) as EndpointSlice,
    admit: (slice) => slice,
    beforeWrite: () => undefined,
    refuseReads: undefined,
    async stop() {
      if (!server.listening) return;
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    async start() {
      server = createServer((request, response) => {
        response.on('error', () => {});
        onRequest(request, response).catch(() => response.destroy());
      });
      server.on('connection', (socket) => {
        sockets.add(socket);
        socket.on('error', () => {}).on('close', () => sockets.delete(socket));
      });
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
      port = (server.address() as AddressInfo).port;
    },
  };
  await cluster.start();
  return cluster;
}

function keyOf({ metadata: { namespace, name = '' } }: StoredObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function selectorOf(text: string | null): (object: StoredObject) => boolean {
  if (text === null) return () => true;
  const [label = '', value] = text.split('=');
  return ({ metadata }) => (value === undefined ? metadata.labels?.[label] !== undefined : metadata.labels?.[label] === value);
}

function tell({ response }: Watch, type: string, object: StoredObject): void {
  response.write(`${JSON.stringify({ type, object })}\n`);
}

function send(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function status(code: number, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, message };
}
