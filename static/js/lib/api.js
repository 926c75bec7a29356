// The REST API for pages of ours: session cookie, CSRF header, errors in one shape.

const TIMEOUT_MS = 20_000;

/** A refusal, or no answer at all (code "network"). `requestId` is what an operator can look up. */
export class ApiError extends Error {
  constructor({ status = 0, code = "network", message = "", requestId = "", details = null }) {
    super(message || code);
    Object.assign(this, { status, code, requestId, details });
  }
}

export async function apiCall(method, path, { body, query, idempotencyKey, signal, timeoutMs = TIMEOUT_MS } = {}) {
  const url = new URL(`/api/v1${path}`, location.origin);
  for (const [name, value] of Object.entries(query || {})) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-CSRFToken"] = document.querySelector('meta[name="csrf-token"]')?.content || "";
  if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
  const limit = AbortSignal.timeout(timeoutMs);
  let response;
  try {
    response = await fetch(url, {
      method,
      headers,
      credentials: "same-origin",
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal && AbortSignal.any ? AbortSignal.any([signal, limit]) : signal || limit,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError({});
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  const error = answer?.error || {};
  throw new ApiError({ status: response.status, code: error.code || `http_${response.status}`, message: error.message, details: error.details, requestId: error.request_id || response.headers.get("X-Request-Id") || "" });
}
