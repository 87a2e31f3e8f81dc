// What the page follows: a race's topics, its definition and result, and the node's clock.
import { useEffect, useRef, useState } from "preact/hooks";
import { apply, empty, type BoardState } from "../live/board";
import { LiveClient, type Connection } from "../live/client";
import { append } from "../live/feed";
import { type FeedItem, type RosterRow } from "../live/types";
import { competition, nodeClock, type Competition } from "./api";

const FEED_KEPT = 400;

export interface Live {
  board: BoardState;
  recovering: boolean;
  roster: Map<number, RosterRow>;
  feed: FeedItem[];
  connection: Connection;
  why: string;
  error: string;
}

// useLive follows a race's topics.
export function useLive(id: string): Live {
  const [live, setLive] = useState<Live>({ board: empty(), recovering: false, roster: new Map(), feed: [], connection: "connecting", why: "", error: "" });
  useEffect(() => {
    const change = (f: (l: Live) => Partial<Live>) => setLive((l) => ({ ...l, ...f(l) }));
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`;
    const client = new LiveClient({ url, onConnection: (connection, why) => change(() => ({ connection, why })) });
    const refused = (e: { message?: string; code: string }) => change(() => ({ error: e.message ?? e.code }));
    client.subscribe(`competition/${id}/board`, "", {
      snapshot: (f) => change((l) => ({ board: apply(l.board, f.board ?? {}, true), recovering: !!f.recovering, error: "" })),
      delta: (f) => change((l) => ({ board: apply(l.board, f.board ?? {}, false), recovering: !!f.recovering })),
      refused,
    });
    const people = (rows: RosterRow[] | undefined, before: Map<number, RosterRow>) =>
      new Map([...before, ...(rows ?? []).map((r) => [r.entry ?? 0, r] as const)]);
    client.subscribe(`competition/${id}/roster`, "", {
      snapshot: (f) => change(() => ({ roster: people(f.roster?.rows, new Map()) })),
      delta: (f) => change((l) => ({ roster: people(f.roster?.rows, l.roster) })),
      refused,
    });
    const more = (f: { feed?: { items?: FeedItem[] } }) => change((l) => ({ feed: append(l.feed, f.feed?.items, FEED_KEPT) }));
    client.subscribe(`competition/${id}/feed`, "", { snapshot: more, delta: more, refused });
    return () => client.close();
  }, [id]);
  return live;
}

// useCompetition reads what does not change from tick to tick; again whenever `when` changes.
export function useCompetition(id: string, when: string): { race?: Competition; missing: string } {
  const [race, setRace] = useState<Competition>();
  const [missing, setMissing] = useState("");
  useEffect(() => {
    let current = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = () => {
      competition(id).then(
        (c) => { if (current) { setRace(c); setMissing(""); } },
        (e: Error) => { if (current) { setMissing(e.message); timer = setTimeout(read, 5_000); } },
      );
    };
    read();
    return () => { current = false; clearTimeout(timer); };
  }, [id, when]);
  return { race, missing };
}

// useNodeNow is the node's clock, four times a second; it stands still while the connection is lost, so that nobody
// takes what is old for live. 0: not known yet.
export function useNodeNow(connected: boolean): number {
  const clock = useRef({ node: 0, at: 0, rate: 1 });
  const [now, setNow] = useState(0);
  useEffect(() => {
    if (!connected) return;
    const show = () => { if (clock.current.node) setNow(clock.current.node + (performance.now() - clock.current.at) * clock.current.rate); };
    const sent = performance.now();
    nodeClock().then(({ nowMs, rate }) => {
      const back = performance.now();
      clock.current = { node: nowMs, at: (sent + back) / 2, rate };
      show();
    }, () => undefined); // the board's own instants are shown then
    const timer = setInterval(show, 250);
    return () => clearInterval(timer);
  }, [connected]);
  return now;
}
