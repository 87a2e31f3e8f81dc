// The few calls of the management API that viewers may make without a token (Connect, JSON).
import type { LatLon } from "./course";

type Int64 = string | number;

export interface Gate { id?: string; kind?: string; a?: LatLon; b?: LatLon; atMm?: Int64 }
export interface Track { format?: string; sport?: string; name?: string; line?: LatLon[]; gates?: Gate[]; laps?: number; distanceMm?: Int64 }
export interface ResultRow {
  entry?: number;
  place?: number;
  status?: string;
  underReview?: boolean;
  startUs?: Int64;
  finishUs?: Int64;
  gunUs?: Int64;
  netUs?: Int64;
  penaltyMs?: Int64;
  gates?: { gate?: number; atUs?: Int64 }[];
}
export interface Competition {
  id?: string;
  definition?: { name?: string; track?: Track; rankBy?: string; start?: string; scheduledAtMs?: Int64 };
  state?: string;
  gunAtMs?: Int64;
  result?: { status?: string; version?: number; why?: string; rows?: ResultRow[] };
}
export interface Summary { competitionId?: string; name?: string; sport?: string; state?: string; scheduledAtMs?: Int64; entries?: number }

async function call<T>(method: string, body: unknown): Promise<T> {
  const r = await fetch(`/paceline.manage.v1.${method}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const answer = (await r.json().catch(() => ({}))) as T & { message?: string };
  if (!r.ok) throw new Error(answer.message ?? `the node answers ${r.status}`);
  return answer;
}

export const competition = async (id: string): Promise<Competition> =>
  (await call<{ competition?: Competition }>("CompetitionService/GetCompetition", { competitionId: id })).competition ?? {};

export const competitions = async (): Promise<Summary[]> =>
  (await call<{ competitions?: Summary[] }>("CompetitionService/ListCompetitions", { pageSize: 50 })).competitions ?? [];

// nodeClock is the node's clock now, and how fast it runs: in a replay not as fast as ours.
export const nodeClock = async (): Promise<{ nowMs: number; rate: number }> => {
  const c = await call<{ nowMs?: Int64; rate?: number }>("NodeService/GetClock", {});
  return { nowMs: Number(c.nowMs ?? 0), rate: c.rate ?? 1 };
};
