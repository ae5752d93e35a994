import createClient from 'openapi-fetch'
import type { Problem, paths } from '../api.gen'
import { signOut, token } from './session'

/** What went wrong with a request, in words for people. */
export class Failure extends Error {
  override name = 'Failure'
  readonly status: number
  readonly requestID: string

  constructor(message: string, status: number, requestID: string) {
    super(message)
    this.status = status
    this.requestID = requestID
  }
}

/** A client that speaks for the owner of a token. */
export function clientFor(bearer: () => string | null) {
  const client = createClient<paths>({ baseUrl: '' })
  client.use({
    onRequest({ request }) {
      const value = bearer()
      if (value !== null) {
        request.headers.set('Authorization', `Bearer ${value}`)
      }
      return request
    },
  })
  return client
}

const client = clientFor(token)

type Answer<T> = { data?: T; error?: unknown; response: Response }

/** The data of an answer, or a thrown Failure. */
export async function data<T>(answer: Promise<Answer<T>>): Promise<T> {
  const got = await answer.catch(() => {
    throw new Failure('Kaiwa does not answer.', 0, '')
  })
  if (got.response.ok && (got.data !== undefined || got.response.status === 204)) {
    return got.data as T // nothing, where the answer has no content
  }
  const problem = got.error as Partial<Problem> | undefined
  throw new Failure(problem?.detail ?? `Kaiwa answered ${got.response.status}.`, got.response.status, problem?.request_id ?? '')
}

/** As data, for the token of this tab: one that is no longer valid ends the session. */
export async function ask<T>(request: (c: typeof client) => Promise<Answer<T>>): Promise<T> {
  try {
    return await data(request(client))
  } catch (e) {
    if (e instanceof Failure && e.status === 401) {
      signOut()
    }
    throw e
  }
}
