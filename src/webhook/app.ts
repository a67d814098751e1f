import express from 'express';
import type { ErrorRequestHandler, Express, Request, RequestHandler, Response } from 'express';
import { parseReview, reviewBody } from './admission-review.ts';
import { BODY_LIMITS, createBodyReader } from './body.ts';
import type { BodyLimits } from './body.ts';
import { mutateEndpointSlices, mutatePods, validatePolicy } from './handlers.ts';
import type { AdmissionHandler } from './handlers.ts';
import { HttpError, statusBody } from './http-error.ts';
import type { WebhookDeps } from './ports.ts';

export interface WebhookLimits extends BodyLimits {
  /** Requests being answered at a time; a single API server sends at most 200 writes at a time by default (max-mutating-requests-inflight). */
  readonly inFlight: number;
}

export const WEBHOOK_LIMITS: WebhookLimits = { ...BODY_LIMITS, inFlight: 256 };

/** The admission webhook as a value, without a port: three admission paths and two for probes. */
export function createWebhookApp(deps: WebhookDeps, limits: WebhookLimits = WEBHOOK_LIMITS): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('strict routing', true);
  app.set('case sensitive routing', true);
  app.set('query parser', false);

  const readBody = createBodyReader(limits);
  const bound = boundInFlight(limits.inFlight);
  const admit =
    (handle: AdmissionHandler): RequestHandler =>
    async (request, response) => {
      const review = parseReview(await readBody(request));
      response.locals['uid'] = review.uid;
      send(response, 200, reviewBody(review.uid, handle(review)));
    };

  app
    .route('/mutate/pods')
    .post(bound, admit(mutatePods(deps)))
    .all(refuseMethod('POST'));
  app
    .route('/mutate/endpointslices')
    .post(bound, admit(mutateEndpointSlices(deps)))
    .all(refuseMethod('POST'));
  app.route('/validate/policy').post(bound, admit(validatePolicy())).all(refuseMethod('POST'));
  app
    .route('/healthz')
    .get(probe(() => undefined))
    .all(refuseMethod('GET, HEAD'));
  app
    .route('/readyz')
    .get(probe(() => deps.notReady()))
    .all(refuseMethod('GET, HEAD'));
  app.use(() => {
    throw new HttpError(404, 'there is nothing at this path');
  });
  app.use(answerError(deps));
  return app;
}

function boundInFlight(limit: number): RequestHandler {
  let inFlight = 0;
  return (_request, response, next) => {
    // The API server obeys Retry-After within its own timeout; queueing here would only hold its memory and ours.
    if (inFlight >= limit) throw new HttpError(429, 'too many requests at a time; try again', { 'retry-after': '1' });
    inFlight++;
    response.once('close', () => inFlight--);
    next();
  };
}

function probe(notReady: () => string | undefined): RequestHandler {
  return (_request, response) => {
    const why = notReady();
    if (why === undefined) send(response, 200, '{"status":"ok"}\n');
    else send(response, 503, statusBody(503, why));
  };
}

function refuseMethod(allow: string): RequestHandler {
  return () => {
    throw new HttpError(405, `the method must be ${allow}`, { allow });
  };
}

/** Mistakes of the sender are 4xx; everything else is 500, which failurePolicy decides about. `allowed: false` would be a denial that nothing softens. */
function answerError(deps: WebhookDeps): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return (error: unknown, request: Request, response: Response, _next) => {
    const status = statusOf(error);
    const message =
      error instanceof HttpError ? error.message : status < 500 ? 'the request is malformed' : 'internal error; see the log of hot-switch webhook';
    const about = { path: request.path.slice(0, 128), uid: response.locals['uid'] as unknown, status };
    if (status >= 500) deps.log.error('failed to answer a request', { ...about, error, stack: error instanceof Error ? error.stack : undefined });
    else deps.log.debug('refused a request', { ...about, error });
    if (response.headersSent || response.socket === null || response.socket.destroyed) return;
    if (error instanceof HttpError) response.set(error.headers);
    send(response, status, statusBody(status, message));
  };
}

function statusOf(error: unknown): number {
  if (error instanceof HttpError) return error.status;
  // Errors of the HTTP layer itself: a path that does not decode, a sender that went away.
  const { status, code } = (error ?? {}) as { status?: unknown; code?: unknown };
  if (code === 'ECONNRESET') return 400;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}

function send(response: Response, status: number, body: string): void {
  response.status(status).setHeader('content-type', 'application/json');
  response.end(body);
}
