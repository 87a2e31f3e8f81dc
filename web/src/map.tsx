// Everybody on the course, drawn from the course itself; a race that is run anywhere goes once around an oval.
import { useEffect, useMemo, useState } from "preact/hooks";
import type { BoardState } from "../live/board";
import { num, type BoardRow, type RosterRow } from "../live/types";
import type { Track } from "./api";
import { draw, inward, lapShare, oval, pointAt, type Drawing } from "./course";
import { isOut, status } from "./words";

const DOTS = 150; // the first so many; more would only hide each other

// colour gives each entry one that differs from its neighbours' (golden angle), all equally dark under white digits.
export const colour = (entry: number): string => `oklch(0.5 0.14 ${Math.round((entry * 137.508 + 110) % 360)})`;

interface Props { track: Track; rows: BoardRow[]; roster: Map<number, RosterRow>; board: BoardState }

export function CourseMap({ track, rows, roster, board }: Props) {
  const phone = useNarrow();
  const d: Drawing = useMemo(() => {
    const [wide, high, margin] = phone ? [350, 300, 24] : [640, 560, 36];
    return draw(track.line ?? [], wide, high, margin) ?? oval(wide, high * 0.6, margin);
  }, [track, phone]);
  const path = d.points.map((p, i) => `${i ? "L" : "M"}${p.x.toFixed(1)} ${p.y.toFixed(1)}`).join("");
  const laps = Math.max(track.laps ?? 1, 1);
  const length = board.lengthMm || num(track.distanceMm);
  const lap = length / laps;
  const gates = track.gates?.length ? track.gates : track.line?.length ? [] : [{ id: "finish", atMm: length }];
  return (
    <svg viewBox={`0 0 ${d.width.toFixed(0)} ${d.height.toFixed(0)}`} role="img" aria-label={`the course, with ${Math.min(rows.length, DOTS)} athletes on it`}>
      <path class="road" d={path} />
      {gates.map((g) => {
        const share = lap > 0 ? num(g.atMm) / lap : 0;
        const p = pointAt(d, share), to = inward(d, share);
        const end = to.x < -0.35 ? "end" : to.x > 0.35 ? "start" : "middle";
        return (
          <g key={g.id}>
            <line class="gate" x1={p.x - to.x * 8} y1={p.y - to.y * 8} x2={p.x + to.x * 8} y2={p.y + to.y * 8} />
            <text class="gate-name" x={p.x + to.x * 20} y={p.y + to.y * 20} text-anchor={end}>{g.id}</text>
          </g>
        );
      })}
      {rows.slice(0, DOTS).reverse().map((r) => {
        if (status(r.status) === "DNS") return null;
        const done = status(r.status) === "FINISHED" ? length : num(r.progress_mm);
        const p = pointAt(d, lapShare(done, length, laps));
        const at = `translate(${p.x.toFixed(1)}px, ${p.y.toFixed(1)}px)`;
        return (
          <g key={r.entry} class={isOut(r.status) || num(r.offline_since_ms) > 0 ? "faded" : ""}>
            <title>{roster.get(r.entry ?? 0)?.name ?? `Athlete ${r.entry}`}</title>
            <circle class="dot" r={r.place === 1 ? 13 : 11} style={{ transform: at }} fill={colour(r.entry ?? 0)} />
            <text class="bib" style={{ transform: at }}>{r.entry}</text>
          </g>
        );
      })}
    </svg>
  );
}

// useNarrow follows whether the screen is a phone's: the course is then drawn for its size, so that labels stay legible.
function useNarrow(): boolean {
  const query = useMemo(() => matchMedia("(max-width: 560px)"), []);
  const [narrow, setNarrow] = useState(query.matches);
  useEffect(() => {
    const change = () => setNarrow(query.matches);
    query.addEventListener("change", change);
    return () => query.removeEventListener("change", change);
  }, [query]);
  return narrow;
}
