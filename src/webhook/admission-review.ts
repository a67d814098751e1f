import { z } from 'zod';
import type { JsonPatchOperation } from '../core/json-patch.ts';
import { HttpError } from './http-error.ts';

const KIND = 'AdmissionReview';
const API_VERSION = 'admission.k8s.io/v1';

/** The envelope; the objects inside are looked at by shapes.ts, only where they are read: validating whole pods would cost more than all the rest. */
const Request = z.object({
  uid: z.string().min(1).max(128),
  kind: z.object({ group: z.string(), version: z.string(), kind: z.string() }),
  operation: z.enum(['CREATE', 'UPDATE', 'DELETE', 'CONNECT']),
  name: z.string().optional(),
  namespace: z.string().optional(),
  subResource: z.string().optional(),
  userInfo: z.object({ username: z.string().optional() }).optional(),
  object: z.unknown().optional(),
  oldObject: z.unknown().optional(),
});
const Review = z.object({ kind: z.literal(KIND), apiVersion: z.literal(API_VERSION), request: Request });

/** `request` of an AdmissionReview v1; `object` and `oldObject` are not checked yet. */
export type AdmissionRequest = z.infer<typeof Request>;

export type Answer =
  | { readonly kind: 'allowed'; readonly patch?: readonly JsonPatchOperation[]; readonly warnings?: readonly string[] }
  | { readonly kind: 'denied'; readonly errors: readonly string[]; readonly warnings?: readonly string[] };

/** Checks the envelope; anything but an AdmissionReview v1 with a complete request is an HttpError 400. */
export function parseReview(body: unknown): AdmissionRequest {
  const parsed = Review.safeParse(body);
  if (parsed.success) return parsed.data.request;
  const issue = parsed.error.issues[0];
  const place = issue === undefined || issue.path.length === 0 ? 'the body' : issue.path.join('.');
  throw new HttpError(400, `${place}: ${issue?.message ?? 'invalid'}; an ${KIND} of ${API_VERSION} is expected`);
}

/** Refuses a request about another kind than the path serves: a mistake in the webhook configuration that must not pass for an answer. */
export function requireKind(request: AdmissionRequest, wanted: readonly string[]): string {
  const { group, version, kind } = request.kind;
  const name = `${group === '' ? '' : `${group}/`}${version} ${kind}`;
  if (!wanted.includes(name)) throw new HttpError(400, `request.kind: this path serves ${wanted.join(' and ')} only`);
  if (request.subResource !== undefined && request.subResource !== '') throw new HttpError(400, 'request.subResource: subresources are not served');
  return kind;
}

/** The response as JSON text. An empty patch is left out; a denial carries what the person reads. */
export function reviewBody(uid: string, answer: Answer): string {
  const response: Record<string, unknown> = { uid, allowed: answer.kind === 'allowed' };
  if (answer.kind === 'denied') response['status'] = { code: 422, reason: 'Invalid', message: answer.errors.join('; ') };
  else if (answer.patch !== undefined && answer.patch.length > 0) {
    response['patchType'] = 'JSONPatch';
    response['patch'] = Buffer.from(JSON.stringify(answer.patch)).toString('base64');
  }
  if (answer.warnings !== undefined && answer.warnings.length > 0) response['warnings'] = answer.warnings;
  return JSON.stringify({ kind: KIND, apiVersion: API_VERSION, response });
}
