import { ApiError } from './transport.ts';
import type { KubeApi } from './transport.ts';

/** The same API, which calls `onReturn` before it gives the first answer after requests had none: what was not heard meanwhile proves nothing. */
export function noticeReturns(api: KubeApi, onReturn: () => void): KubeApi {
  let away = false;
  const answered = (): void => {
    if (away) onReturn();
    away = false;
  };
  const watched = async <T>(request: Promise<T>): Promise<T> => {
    try {
      const answer = await request;
      answered();
      return answer;
    } catch (error) {
      if (isAnswer(error)) answered();
      else away = true;
      throw error;
    }
  };
  return {
    get: (path, options) => watched(api.get(path, options)),
    create: (path, body, options) => watched(api.create(path, body, options)),
    patch: (path, kind, body, options) => watched(api.patch(path, kind, body, options)),
    stream: (path, options) => watched(api.stream(path, options)),
    close: () => api.close(),
  };
}

/** A refusal is an answer, too; a server that only says it cannot is as good as none. */
function isAnswer(error: unknown): boolean {
  return error instanceof ApiError && error.status !== undefined && error.status < 500;
}
