import { z } from 'zod';

/** The agent's record of a bypass, in the annotation `agent.hot-switch.io/bypass`. Survives the agent; read by the controller and webhook. */
export const BypassRecord = z.object({
  /** When the redirection was cleared, RFC 3339. */
  since: z.iso.datetime(),
  /** When it was put back; absent while the bypass lasts. */
  until: z.iso.datetime().optional(),
  /** Boot ID of the node (status.nodeInfo.bootID) at that time: rules do not survive a reboot. */
  bootID: z.string().max(64),
  /** Value of the label security.istio.io/tlsMode before the bypass; null when there was none. */
  tlsMode: z.string().max(63).nullable(),
  /** How many bypasses in a row without a quiet time: 1 for the first. */
  entries: z.number().int().min(1).max(1000),
});
export type BypassRecord = z.infer<typeof BypassRecord>;

/** Parses the annotation; undefined when it is absent or not ours. */
export function parseBypassRecord(text: string | undefined): BypassRecord | undefined {
  if (text === undefined || text.length > 4096) return undefined;
  try {
    return BypassRecord.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
