import type { EndpointFacts } from '../core/endpoint-facts.ts';
import type { Logger } from '../runtime/logger.ts';

/** What the webhook needs from outside. Nothing here does I/O: no API call is made while answering. */
export interface WebhookDeps {
  /** Annotations of an opted-in namespace; undefined while unknown. */
  namespaceAnnotations(name: string): Readonly<Record<string, string>> | undefined;
  /** What the caches hold about endpoints; unsynced facts change nothing. */
  endpointFacts(): EndpointFacts;
  /** Why requests should go to another replica now (`draining`, a cache that is not filled), or undefined when ready. */
  notReady(): string | undefined;
  /** Unix time. */
  nowMs(): number;
  readonly log: Logger;
}

/** A certificate chain and its key, as PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Where the serving certificate comes from, and that it has changed. */
export interface CertificateSource {
  current(): KeyPair;
  /** Calls with every later pair. */
  onChange(listener: (pair: KeyPair) => void): void;
}
