/**
 * Every reason, with its one-line meaning. The same constant stands in the condition, the Event, the log and the docs.
 */
export const REASONS = {
  Meshed: 'Traffic goes through the sidecar.',
  ProxyBypassed: 'The sidecar failed; traffic goes past it, straight to the application.',
  BypassRefused: 'The sidecar failed; a bypass would suspend security, and that is not allowed here.',
  SwitchFailed: 'The sidecar failed; the redirection could not be cleared, and nothing was changed.',
  Switching: 'The sidecar failed; the switch is taking longer than a second.',
  Observing: 'Mode observe: what would be done is reported, nothing is changed.',
  ProxyRestored: 'The sidecar is healthy again; traffic goes through it again.',
  RestoreFailed: 'The bypass should end; the redirection could not be put back yet, and the bypass stays.',
  ProxyHealthy: 'The sidecar answers on port 15021.',
  ProxyDead: 'The sidecar has no listener on 15021 and 15006 any more.',
  ProxyUnresponsive: 'The sidecar listens, and does not answer on port 15021 as it should.',
  ProxyStarting: 'The sidecar was not healthy yet since the agent watches it.',
  ProxyUnknown: 'The sidecar could not be observed.',
} as const;

export type Reason = keyof typeof REASONS;
