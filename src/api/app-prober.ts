import { z } from 'zod';

const Port = z.number().int().min(1).max(65_535);

/** One value of the JSON map in ISTIO_KUBE_APP_PROBERS: exactly one action. Source: istio/istio, pilot/cmd/pilot-agent/status/server.go (Prober). */
export const AppProber = z
  .object({
    httpGet: z.object({ port: Port, path: z.string().max(8192).nullish(), scheme: z.string().nullish() }).optional(),
    tcpSocket: z.object({ port: Port }).optional(),
    grpc: z.object({ port: Port, service: z.string().max(1024).nullish() }).optional(),
    timeoutSeconds: z.number().int().min(0).max(86_400).nullish(),
  })
  .refine((entry) => [entry.httpGet, entry.tcpSocket, entry.grpc].filter((action) => action !== undefined).length === 1);
export type AppProber = z.output<typeof AppProber>;
