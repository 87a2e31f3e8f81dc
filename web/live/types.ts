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
  position_at_ms?: Int64;
  position_age_ms?: number; // of a delta, in place of position_at_ms
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
  stale_since_ms?: Int64;
}

export interface RosterRow {
  entry?: number;
  name?: string;
  club?: string;
  flag?: string;
  category?: string;
  heat?: number;
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

export interface PositionRow {
  entry?: number;
  progress_mm?: Int64;
  lat_e7?: number;
  lon_e7?: number;
  at_ms?: Int64;
  offline_since_ms?: Int64; // for officials
  unconfirmed?: boolean; // for officials
}

// LiveEvent is one entry of the inbox of whoever is signed in.
export interface LiveEvent {
  kind?: string;
  text?: string;
  at_ms?: Int64;
  version?: Int64;
  competition_id?: string;
  entry?: number;
}

export interface Workout {
  workout_id?: string;
  at_ms?: Int64;
  elapsed_ms?: Int64;
  distance_mm?: Int64;
  progress_mm?: Int64;
  heart_rate_bpm?: number;
  power_w?: number;
  cadence_rpm?: number;
  speed_mm_s?: number;
  state?: string;
  control?: ControlState;
}

// A target is one of the three.
export interface Target {
  power_w?: number;
  incline_bp?: number;
  resistance_deci?: number;
}

// Control sets the equipment of a stream until valid_until_ms (node clock): then the rider's own setting counts again.
export interface Control extends Target {
  control_id?: string;
  stream_id?: string;
  valid_until_ms?: Int64;
}

// ControlState is what equipment was last asked, and how it has answered so far.
export interface ControlState extends Target {
  result?: string; // applied, limited, refused
  applied?: number;
  limited?: number;
  refused?: number;
  at_ms?: Int64;
}

// Frame is a snapshot or a delta. A delta may leave topic and cut to `sub`, which the snapshot before it has named.
export interface Frame {
  topic?: string;
  cut?: string;
  epoch?: Int64;
  version?: Int64;
  base?: Int64;
  recovering?: boolean;
  board?: Board;
  roster?: { rows?: RosterRow[] };
  positions?: { at_ms?: Int64; rows?: PositionRow[] };
  feed?: { items?: FeedItem[] };
  workout?: Workout;
  inbox?: { items?: LiveEvent[] };
  sub?: number;
}

export interface ServerError {
  code: string;
  message?: string;
  retry?: boolean;
  detail?: string;
  topic?: string;
}

// ServerMessage has exactly one of these. What a viewer has no use for is named, so that it is known, and not spelt out.
export interface ServerMessage {
  welcome?: { session?: string; server_time_ms?: Int64; client_time_ms?: Int64; principal?: string };
  snapshot?: Frame;
  delta?: Frame;
  error?: ServerError;
  goodbye?: { reason?: string; address?: string; reconnect_after_ms?: number };
  pong?: { t0_ms?: Int64; t1_ms?: Int64; t2_ms?: Int64 };
  event?: LiveEvent;
  stream_opened?: object;
  command_result?: object;
  ack?: object;
  throttle?: object;
  control?: Control;
}

export const num = (v: Int64 | undefined): number => (v === undefined ? 0 : Number(v));
