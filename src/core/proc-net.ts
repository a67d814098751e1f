/** A TCP socket that listens in a pod's network namespace. */
export interface Listener {
  readonly port: number;
  /** any: 0.0.0.0 or ::; loopback: 127.0.0.0/8 or ::1; else the address in its shortest form. */
  readonly address: string;
}

/** What listens, or why that is not known: never to be taken for "nothing". */
export type ListenersReading = { readonly known: true; readonly listeners: readonly Listener[] } | { readonly known: false; readonly why: string };
