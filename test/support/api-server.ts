import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

/** An object of the collection. */
export interface StoredObject {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly uid: string; readonly resourceVersion: string };
  readonly value: number;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type RequestKind = 'list' | 'watch' | 'write' | 'get';
export type Answer = (request: SeenRequest, response: ServerResponse) => void;
/** What can happen to watches that are open. */
export type WatchFault =
  | 'reset'
  | 'end'
  | 'silence'
  | 'truncated line'
  | 'bad JSON'
  | 'no object'
  | 'ERROR 410'
  | 'ERROR 500'
  | 'ERROR 429'
  | 'repetition'
  | 'huge line';

export interface ApiServer {
  readonly url: string;
  readonly seen: readonly SeenRequest[];
  /** TCP connections so far. */
  readonly connections: number;
  /** `namespace/name` to the object. */
  readonly objects: ReadonlyMap<string, StoredObject>;
  readonly version: number;
  readonly openWatches: number;
  /** Creates or changes; watches hear of it. */
  put(name: string, value: number): void;
  /** Deletes and creates under the same name with another UID. */
  recreate(name: string, value: number): void;
  remove(name: string): void;
  bookmark(): void;
  /** Forgets the history: watches from before now get 410, as HTTP status or in the stream. */
  compact(): void;
  goneInStream: boolean;
  /** Whether lists from the cache come in pages too, as from a server whose watch cache is off. */
  pagesAlways: boolean;
  /** Answers the next requests of the kind in this way instead; in order. */
  next(kind: RequestKind, ...answers: Answer[]): void;
  harm(fault: WatchFault): void;
  /** Forgets the answers that were given to next(). */
  heal(): void;
  stop(): Promise<void>;
  /** Again on the same port. */
  start(): Promise<void>;
}

interface HistoryEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: StoredObject;
}

interface OpenWatch {
  readonly response: ServerResponse;
  silent: boolean;
}

const NAMESPACE = 'shop';
const COLLECTION = '/api/v1/pods';

/** A small API server that keeps one collection, with history, pages and every misbehaviour that a client must survive. Speaks real HTTP(S). */
export async function startApiServer(tls?: { readonly key: string; readonly cert: string }): Promise<ApiServer> {
  const objects = new Map<string, StoredObject>();
  const pages = new Map<string, { readonly items: readonly StoredObject[]; readonly version: number }>();
  const planned: Record<RequestKind, Answer[]> = { list: [], watch: [], write: [], get: [] };
  const seen: SeenRequest[] = [];
  const sockets = new Set<Socket>();
  const watches = new Set<OpenWatch>();
  let history: HistoryEvent[] = [];
  let compactedAt = 0;
  let version = 100;
  let uids = 0;
  let connections = 0;
  let port = 0;
  let server = create();

  function create() {
    const made = tls === undefined ? createHttpServer(onRequest) : createHttpsServer({ key: tls.key, cert: tls.cert }, onRequest);
    made.on('connection', (socket: Socket) => {
      connections += 1;
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    });
    return made;
  }

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('error', () => {});
    response.on('error', () => {});
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://localhost');
      const one = {
        method: request.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      };
      seen.push(one);
      const answer = planned[kindOf(one)].shift() ?? answerWell;
      answer(one, response);
    });
  }

  function answerWell(request: SeenRequest, response: ServerResponse): void {
    if (request.path !== COLLECTION) respond(response, 200, request.body === '' ? { path: request.path } : JSON.parse(request.body));
    else if (request.query.get('watch') === 'true') watch(request, response);
    else list(request, response);
  }

  function list({ query }: SeenRequest, response: ServerResponse): void {
    const asked = query.get('resourceVersion');
    const token = query.get('continue');
    const resumed = token === null ? undefined : pages.get(token);
    if (token !== null && asked !== null) {
      respond(response, 400, status(400, 'BadRequest', 'specifying resource version is not allowed when using continue'));
    } else if (token !== null && resumed === undefined) {
      respond(response, 410, status(410, 'Expired', 'The provided continue parameter is too old'));
    } else if (asked !== null && Number(asked) > version) {
      respond(response, 504, status(504, 'Timeout', `Too large resource version: ${asked}, current: ${version}`));
    } else {
      const from = resumed ?? { items: [...objects.values()], version };
      // The cache of a real one does not page either.
      const limit = asked === null || api.pagesAlways ? Number(query.get('limit') ?? Infinity) : Infinity;
      const metadata: Record<string, string> = { resourceVersion: String(from.version) };
      if (from.items.length > limit) {
        metadata['continue'] = `page-${pages.size}`;
        pages.set(metadata['continue'], { items: from.items.slice(limit), version: from.version });
      }
      respond(response, 200, { kind: 'PodList', metadata, items: from.items.slice(0, limit) });
    }
  }

  function watch({ query }: SeenRequest, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion'));
    const gone = status(410, 'Expired', `too old resource version: ${from} (${compactedAt})`);
    if (from < compactedAt && !api.goneInStream) {
      respond(response, 410, gone);
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    if (from < compactedAt) {
      response.end(line('ERROR', gone));
      return;
    }
    const open = { response, silent: false };
    watches.add(open);
    response.on('close', () => watches.delete(open));
    for (const event of history) if (Number(event.object.metadata.resourceVersion) > from) response.write(line(event.type, event.object));
  }

  function tell(event: HistoryEvent): void {
    history.push(event);
    const text = line(event.type, event.object);
    for (const open of watches) {
      if (open.silent) continue;
      // In two pieces, so that lines do not happen to be chunks.
      open.response.write(text.slice(0, 20));
      open.response.write(text.slice(20));
    }
  }

  function store(type: 'ADDED' | 'MODIFIED', name: string, uid: string, value: number): void {
    version += 1;
    const object = { metadata: { namespace: NAMESPACE, name, uid, resourceVersion: String(version) }, value };
    objects.set(`${NAMESPACE}/${name}`, object);
    tell({ type, object });
  }

  function remove(name: string): void {
    const object = objects.get(`${NAMESPACE}/${name}`);
    if (object === undefined) return;
    version += 1;
    objects.delete(`${NAMESPACE}/${name}`);
    tell({ type: 'DELETED', object: { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } } });
  }

  function harmOne(open: OpenWatch, fault: WatchFault): void {
    const { response } = open;
    const bad: Partial<Record<WatchFault, string>> = {
      'truncated line': '{"type":"MODIFIED","object":{"metadata":{"na',
      'bad JSON': '{"type":"MODIFIED","object":{"metadata"\n',
      'no object': '{"type":"ADDED","object":{"metadata":{}}}\n',
      'ERROR 410': line('ERROR', status(410, 'Expired', 'too old resource version')),
      'ERROR 500': line('ERROR', status(500, 'InternalError', 'etcd event received with PrevKv=nil')),
      'ERROR 429': line('ERROR', { ...status(429, 'TooManyRequests', 'slow down'), details: { retryAfterSeconds: 0.03 } }),
      'huge line': `{"type":"ADDED","object":"${'x'.repeat(200_000)}"}\n`,
    };
    if (fault === 'reset') response.socket?.resetAndDestroy();
    else if (fault === 'silence') open.silent = true;
    else if (fault === 'end') response.end();
    else if (fault === 'repetition') for (const event of history) response.write(line(event.type, event.object));
    else if (fault === 'truncated line') response.write(bad[fault], () => response.socket?.destroy());
    else response.end(bad[fault]);
  }

  const api: ApiServer = {
    get url() {
      return `${tls === undefined ? 'http' : 'https'}://localhost:${port}`;
    },
    seen,
    get connections() {
      return connections;
    },
    objects,
    get version() {
      return version;
    },
    get openWatches() {
      return watches.size;
    },
    put: (name, value) => {
      const existing = objects.get(`${NAMESPACE}/${name}`);
      store(existing === undefined ? 'ADDED' : 'MODIFIED', name, existing?.metadata.uid ?? `uid-${(uids += 1)}`, value);
    },
    recreate: (name, value) => {
      remove(name);
      store('ADDED', name, `uid-${(uids += 1)}`, value);
    },
    remove,
    bookmark: () => {
      for (const open of watches) if (!open.silent) open.response.write(line('BOOKMARK', { metadata: { resourceVersion: String(version) } }));
    },
    compact: () => {
      // Something else in the cluster moves the version on.
      version += 1;
      history = [];
      pages.clear();
      compactedAt = version;
    },
    goneInStream: false,
    pagesAlways: false,
    next: (kind, ...answers) => planned[kind].push(...answers),
    harm: (fault) => {
      for (const open of watches) harmOne(open, fault);
    },
    heal: () => {
      for (const answers of Object.values(planned)) answers.length = 0;
    },
    stop: async () => {
      if (!server.listening) return;
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    start: async () => {
      if (server.listening) return;
      server = create();
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, 'localhost', resolve));
      port = (server.address() as AddressInfo).port;
    },
  };
  await api.start();
  return api;
}

function kindOf({ method, path, query }: SeenRequest): RequestKind {
  if (method !== 'GET') return 'write';
  if (path !== COLLECTION) return 'get';
  return query.get('watch') === 'true' ? 'watch' : 'list';
}

function line(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`;
}

/** A Status object. */
export function status(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
}

function respond(response: ServerResponse, code: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** Refuses with a Status object. */
export function refuse(code: number, reason: string, message: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return (_request, response) => respond(response, code, status(code, reason, message), headers);
}

/** Answers with any JSON. */
export function give(body: unknown): Answer {
  return (_request, response) => respond(response, 200, body);
}

/** Resets the connection instead of answering. */
export const reset: Answer = (_request, response) => {
  response.socket?.resetAndDestroy();
};

/** Never answers. */
export const ignore: Answer = () => {};

/** Never answers, and breaks off after a while. */
export const stall: Answer = (_request, response) => {
  setTimeout(() => response.socket?.destroy(), 20);
};

/** Answers well, and late. */
export const late: Answer = (_request, response) => {
  setTimeout(() => respond(response, 200, {}), 20);
};
