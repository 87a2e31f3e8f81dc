// The live protocol in its JSON form (paceline.v1.json): 64-bit integers are strings, fields at their default are
// left out, enums and fields have the names of the .proto. Only what viewers need.

export type Int64 = string | number;

export interface BoardRow {
  entry?: number;
  place?: number;
  gates_passed?: number;
  gate_at_ms?: Int64;
  gap_ms?: Int64;
  gap_mm?: Int64;
  progress_mm?: Int64;
  status?: string;
  under_review?: boolean;
  unconfirmed?: boolean;
  offline_since_ms?: Int64;
  net_ms?: Int64;
  gun_ms?: Int64;
  off_course?: boolean;
  lat_e7?: number;
  lon_e7?: number;
  heat?: number;
  category?: string;
}

export interface Board {
  state?: string;
  gun_at_ms?: Int64;
  at_ms?: Int64;
  course_length_mm?: Int64;
  rows?: BoardRow[];
  removed?: number[];
  entries?: number;
  gates?: number;
}

export interface RosterRow {
  entry?: number;
  name?: string;
  club?: string;
  flag?: string;
  category?: string;
}

export interface FeedItem {
  version?: Int64;
  at_ms?: Int64;
  kind?: string;
  entry?: number;
  gate?: number;
  gate_at_ms?: Int64;
  place?: number;
  text?: string;
}

export interface Frame {
  topic: string;
  cut?: string;
  epoch?: Int64;
  version?: Int64;
  base?: Int64;
  recovering?: boolean;
  board?: Board;
  roster?: { rows?: RosterRow[] };
  feed?: { items?: FeedItem[] };
}

export interface ServerError {
  code: string;
  message?: string;
  retry?: boolean;
  topic?: string;
}

export interface ServerMessage {
  welcome?: { session?: string; server_time_ms?: Int64 };
  snapshot?: Frame;
  delta?: Frame;
  error?: ServerError;
  goodbye?: { reason?: string; address?: string; reconnect_after_ms?: number };
  pong?: { t0_ms?: Int64; t1_ms?: Int64; t2_ms?: Int64 };
}

export const num = (v: Int64 | undefined): number => (v === undefined ? 0 : Number(v));
