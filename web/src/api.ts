// The few calls of the management API that viewers may make without a token (Connect, JSON).
import type { LatLon } from "./course";

export interface Gate { id?: string; kind?: string; a?: LatLon; b?: LatLon; atMm?: string }
export interface Track { format?: string; sport?: string; name?: string; line?: LatLon[]; gates?: Gate[]; laps?: number; distanceMm?: string }
export interface Competition {
  id?: string;
  definition?: { name?: string; track?: Track; rankBy?: string; start?: string; scheduledAtMs?: string };
  state?: string;
  gunAtMs?: string;
  result?: { status?: string; version?: number };
}
export interface Summary { competitionId?: string; name?: string; sport?: string; state?: string; scheduledAtMs?: string; entries?: number }

async function call<T>(method: string, body: unknown): Promise<T> {
  const r = await fetch(`/paceline.manage.v1.${method}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const answer = (await r.json()) as T & { message?: string };
  if (!r.ok) throw new Error(answer.message ?? `${r.status}`);
  return answer;
}

export const competition = async (id: string): Promise<Competition> =>
  (await call<{ competition?: Competition }>("CompetitionService/GetCompetition", { competitionId: id })).competition ?? {};

export const competitions = async (): Promise<Summary[]> =>
  (await call<{ competitions?: Summary[] }>("CompetitionService/ListCompetitions", { pageSize: 50 })).competitions ?? [];
