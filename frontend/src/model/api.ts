// The one place that talks to the server: same origin only, errors as values people can read.

export interface Problem {
  type: string;
  problem: string;
  where?: string;
  found?: unknown;
  allowed?: unknown;
  version?: number;
}

export class ApiError extends Error {
  constructor(readonly status: number, readonly problem: Problem) {
    super(sentence(problem));
  }
}

/** A problem in one sentence: what, where, what was found and what is allowed. */
export function sentence(problem: Problem): string {
  const parts = [problem.where ? `${problem.where}: ${problem.problem}` : problem.problem];
  if (filled(problem.found)) parts.push(`found ${words(problem.found)}`);
  if (filled(problem.allowed)) parts.push(`allowed: ${words(problem.allowed)}`);
  return parts.join("; ");
}

function filled(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

function words(value: unknown): string {
  if (Array.isArray(value)) return value.map(words).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

interface Options {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  form?: FormData;
}

export async function request(method: string, path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { ...options.headers };
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      body: options.form ?? (options.body === undefined ? null : JSON.stringify(options.body)),
      signal: options.signal ?? null,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, { type: "offline", problem: "the server does not answer; what you typed is kept in this page" });
  }
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
  return response;
}

async function problemOf(response: Response): Promise<Problem> {
  const plain = { type: "error", problem: `the server answered ${response.status}` };
  try {
    const data = (await response.json()) as { error?: Problem; detail?: unknown; version?: number };
    if (data.error) return data.error;
    return data.detail ? { ...plain, problem: words(data.detail) } : plain;
  } catch {
    return plain;
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await request("GET", path, signal ? { signal } : {})).json()) as T;
}

/** Like {@link get}; null where the server says there is none. */
export async function maybe<T>(path: string): Promise<T | null> {
  try {
    return await get<T>(path);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

export async function send<T>(method: string, path: string, body?: unknown, version?: number): Promise<T> {
  const headers: Record<string, string> = version === undefined ? {} : { "If-Match": String(version) };
  const response = await request(method, path, body === undefined ? { headers } : { body, headers });
  const text = await response.text();
  return (text ? JSON.parse(text) : {}) as T;
}

export async function upload<T>(path: string, file: File, version?: number): Promise<T> {
  const form = new FormData();
  form.append("file", file, file.name);
  const headers: Record<string, string> = version === undefined ? {} : { "If-Match": String(version) };
  return (await (await request("POST", path, { form, headers })).json()) as T;
}

export async function bytes(path: string): Promise<ArrayBuffer> {
  return (await request("GET", path)).arrayBuffer();
}

export function casePath(id: string, rest = ""): string {
  return `/api/cases/${encodeURIComponent(id)}${rest ? `/${rest}` : ""}`;
}

/** What went wrong, for people. */
export function told(error: unknown): string {
  if (error instanceof Error) return error.message;
  return String(error);
}
