import { randomBytes } from 'node:crypto';
import type { Reason } from '../../api/reasons.ts';
import { backoffMs, pause, type Backoff } from '../../runtime/backoff.ts';
import type { Logger } from '../../runtime/logger.ts';
import { ApiError, type KubeApi } from './transport.ts';

/** What an Event is about. */
export interface EventSubject {
  readonly kind: 'Pod';
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Writes Events in the background: whoever records never waits and never fails. */
export interface EventRecorder {
  record(about: EventSubject, type: 'Normal' | 'Warning', reason: Reason, message: string): void;
  /** Sends what is left for at most 2 s. */
  stop(): Promise<void>;
}

export interface EventRecorderOptions {
  readonly api: KubeApi;
  /** E.g. `hot-switch-agent`; `kubectl describe` shows it. */
  readonly component: string;
  readonly node?: string;
  readonly log: Logger;
  /** The oldest are dropped beyond it. */
  readonly maxQueued?: number;
  readonly backoff?: Backoff;
  readonly flushMs?: number;
}

/** Bound of core/v1 Event messages (kubernetes pkg/apis/core/validation/events.go, NoteLengthLimit). */
const MESSAGE_MAX_BYTES = 1024;
/** The name of an object may have 253 characters; ours adds a dot and 16. */
const NAME_MAX = 253 - 17;
/** Refusals (not silence) after which one event is given up, so that it does not hold up the rest. */
const MAX_REFUSALS = 8;
const BACKOFF: Backoff = { minMs: 500, maxMs: 15_000, factor: 2, jitter: 0.5 };

interface QueuedEvent {
  readonly path: string;
  readonly body: { readonly metadata: { readonly name: string } };
  refusals: number;
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { api, component, node, log, maxQueued = 500, backoff = BACKOFF, flushMs = 2_000 } = options;
  const queue: QueuedEvent[] = [];
  const giveUp = new AbortController();
  let sending: Promise<void> | undefined;
  let stopped = false;
  let dropped = 0;

  function record(about: EventSubject, type: 'Normal' | 'Warning', reason: Reason, message: string): void {
    if (stopped) return;
    const at = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    // A name of our own makes a repeated create after a lost answer a conflict instead of a second event.
    const name = `${about.name.slice(0, NAME_MAX)}.${randomBytes(8).toString('hex')}`;
    const body = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace: about.namespace },
      involvedObject: { apiVersion: 'v1', ...about },
      type,
      reason,
      message: cutToBytes(message, MESSAGE_MAX_BYTES),
      source: { component, ...(node !== undefined && { host: node }) },
      reportingComponent: component,
      reportingInstance: node ?? '',
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
    };
    queue.push({ path: `/api/v1/namespaces/${encodeURIComponent(about.namespace)}/events`, body, refusals: 0 });
    if (queue.length > maxQueued) {
      queue.shift();
      dropped += 1;
      // Powers of two: loud at first, never a flood.
      if ((dropped & (dropped - 1)) === 0) log.warn('events dropped, the queue is full', { dropped });
    }
    sending ??= sendAll().finally(() => {
      sending = undefined;
    });
  }

  async function sendAll(): Promise<void> {
    // Not inside the caller's stack.
    await Promise.resolve();
    let attempt = 0;
    while (!giveUp.signal.aborted) {
      const event = queue[0];
      if (event === undefined) return;
      const waitMs = await send(event, attempt);
      if (giveUp.signal.aborted) return;
      if (waitMs === undefined) {
        attempt = 0;
        // It may have been dropped meanwhile.
        if (queue[0] === event) queue.shift();
      } else {
        attempt += 1;
        await pause(waitMs, giveUp.signal);
      }
    }
  }

  /** Undefined: done with it, for good or ill; else the wait before it is tried again. */
  async function send(event: QueuedEvent, attempt: number): Promise<number | undefined> {
    const { path, body } = event;
    try {
      await api.create(path, body, { signal: giveUp.signal });
      return undefined;
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'AlreadyExists') return undefined;
      if (error instanceof ApiError && error.status !== undefined) event.refusals += 1;
      if (!(error instanceof ApiError) || !error.retryable || event.refusals >= MAX_REFUSALS) {
        if (!giveUp.signal.aborted) log.warn('event could not be written', { event: body.metadata.name, error });
        return undefined;
      }
      log.debug('event will be tried again', { event: body.metadata.name, error });
      return Math.max(error.retryAfterMs ?? 0, backoffMs(backoff, attempt));
    }
  }

  async function stop(): Promise<void> {
    stopped = true;
    const timer = setTimeout(() => giveUp.abort(), flushMs);
    await sending;
    clearTimeout(timer);
    if (queue.length > 0) log.warn('events not written at the end', { count: queue.length });
  }

  return { record, stop };
}

/** Cuts at a character, never inside one. */
function cutToBytes(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  const ellipsis = '…';
  let end = maxBytes - Buffer.byteLength(ellipsis);
  const bytes = Buffer.from(text);
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return `${bytes.subarray(0, end).toString('utf8')}${ellipsis}`;
}
