// Requests to the daemon's API; a refusal becomes an ApiError with the text of its problem document.
import { refused, token } from "./token.ts";

export const PREFIX = "/api/v1";

export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await send(method, path, body);
  const text = await answer.text();
  return (text ? JSON.parse(text) : null) as T;
}

export async function bytes(path: string, signal: AbortSignal): Promise<ArrayBuffer> {
  return (await send("GET", path, undefined, signal)).arrayBuffer();
}

async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = {};
  if (token.value) headers["Authorization"] = `Bearer ${token.value}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const init: RequestInit = { method, headers, cache: "no-store" };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (signal) init.signal = signal;
  const answer = await fetch(PREFIX + path, init).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "the daemon cannot be reached");
  });
  if (answer.ok) return answer;
  if (answer.status === 401) refused.value = true;
  throw new ApiError(answer.status, await problem(answer));
}

/** What a problem document (RFC 9457) says, in one line. */
async function problem(answer: Response): Promise<string> {
  const said = (await answer.json().catch(() => ({}))) as { title?: unknown; detail?: unknown };
  const parts = [said.title, typeof said.detail === "string" ? said.detail : said.detail && JSON.stringify(said.detail)];
  return parts.filter(Boolean).join(": ") || `${answer.status} ${answer.statusText}`;
}
