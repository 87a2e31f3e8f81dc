// The live client for viewers: one WebSocket that comes back by itself, resumes topics at the {epoch, version} last
// seen, and drops what would go back. docs/protocol.md is what it follows.
import { num, type Frame, type LiveEvent, type ServerError, type ServerMessage } from "./types";

export type Connection = "connecting" | "live" | "lost" | "refused";

const SUBPROTOCOL = "paceline.v1.json";
const FIRST_WAIT_MS = 500, LONGEST_WAIT_MS = 30_000; // between attempts, docs/protocol.md, close codes
const FEED_EPOCH = 1;
const FIRST_ASK_AGAIN_MS = 1_000; // after an error with retry

// meaning says what a close code asks for (docs/protocol.md, close codes).
export function meaning(code: number): "reconnect" | "renew" | "terminal" {
  if (code >= 4500 && code < 5000) return "terminal";
  if (code >= 4400 && code < 4500) return "renew";
  if (code === 1002 || code === 1003 || (code >= 1007 && code <= 1010)) return "terminal";
  return "reconnect";
}

export interface Handlers {
  snapshot(frame: Frame): void;
  delta(frame: Frame): void;
  refused?(error: ServerError): void;
}

interface Topic extends Handlers {
  topic: string;
  cut: string;
  epoch: number;
  version: number;
  waiting: boolean;
  sub: number; // the node's number for it on this connection; 0: not named yet
  askAgainMs: number;
  again?: ReturnType<typeof setTimeout>;
}

// accepts decides whether a frame may be shown: never back; a delta only on its base.
export function accepts(at: { epoch: number; version: number }, frame: Frame, delta: boolean): "take" | "drop" | "resubscribe" {
  const epoch = num(frame.epoch), version = num(frame.version);
  if (epoch < at.epoch || (epoch === at.epoch && version < at.version)) return "drop";
  if (delta && (epoch !== at.epoch || num(frame.base) !== at.version)) return "resubscribe";
  return "take";
}

// Socket is as much of a WebSocket as the client needs; tests bring their own.
export type Socket = Pick<WebSocket, "readyState" | "send" | "close" | "onopen" | "onmessage" | "onclose">;

export interface Options {
  url: string;
  token?: string;
  onConnection?(state: Connection, why: string): void;
  heartbeatMs?: number;
  connect?(url: string, subprotocol: string): Socket;
}

export class LiveClient {
  private url: string;
  private socket?: Socket;
  private topics: Topic[] = [];
  private waitMs = FIRST_WAIT_MS;
  private goodbyeMs = 0; // the wait that a leaving node asked for
  private closed = false;
  private welcomed = false;
  private heartbeat?: ReturnType<typeof setInterval>;
  private again?: ReturnType<typeof setTimeout>;
  private heardAt = 0;

  constructor(private readonly o: Options) {
    this.url = o.url;
    this.o.onConnection?.("connecting", "");
    this.connect();
  }

  subscribe(topic: string, cut: string, handlers: Handlers): () => void {
    const t: Topic = { topic, cut, epoch: 0, version: 0, waiting: true, sub: 0, askAgainMs: FIRST_ASK_AGAIN_MS, ...handlers };
    this.topics.push(t);
    if (this.welcomed) this.ask(t);
    return () => {
      this.topics = this.topics.filter((x) => x !== t);
      clearTimeout(t.again);
      this.send({ unsubscribe: { topic, cut } });
    };
  }

  close(): void {
    this.closed = true;
    clearInterval(this.heartbeat);
    clearTimeout(this.again);
    for (const t of this.topics) clearTimeout(t.again);
    this.socket?.close(1000);
  }

  private connect(): void {
    this.welcomed = false;
    this.goodbyeMs = 0;
    const socket = (this.o.connect ?? ((url, subprotocol) => new WebSocket(url, subprotocol)))(this.url, SUBPROTOCOL);
    this.socket = socket;
    this.heardAt = Date.now();
    socket.onopen = () => this.send({ hello: { token: this.o.token ?? "", client: "paceline-web 1", clock_ms: String(Date.now()) } });
    socket.onmessage = (e: MessageEvent) => {
      this.heardAt = Date.now();
      if (typeof e.data === "string") this.receive(JSON.parse(e.data) as ServerMessage);
    };
    socket.onclose = (e: CloseEvent) => this.ended(socket, e.code, e.reason);
    clearInterval(this.heartbeat);
    this.heartbeat = setInterval(() => {
      if (Date.now() - this.heardAt > 45_000) socket.close();
      else this.send({ ping: { t0_ms: String(Date.now()) } });
    }, this.o.heartbeatMs ?? 15_000);
  }

  private ended(socket: Socket, code: number, reason: string): void {
    if (this.closed || socket !== this.socket) return;
    clearInterval(this.heartbeat);
    for (const t of this.topics) clearTimeout(t.again);
    this.welcomed = false;
    if (meaning(code) !== "reconnect") {
      this.o.onConnection?.("refused", reason || String(code));
      return;
    }
    this.o.onConnection?.("lost", reason);
    this.again = setTimeout(() => this.connect(), this.goodbyeMs || this.waitMs * (0.5 + Math.random() / 2));
    this.waitMs = Math.min(this.waitMs * 2, LONGEST_WAIT_MS);
  }

  private receive(m: ServerMessage): void {
    if (m.welcome) {
      this.welcomed = true;
      this.waitMs = FIRST_WAIT_MS;
      this.o.onConnection?.("live", "");
      for (const t of this.topics) {
        t.sub = 0; // the numbers of the connection before mean nothing here
        this.ask(t);
      }
    } else if (m.snapshot) {
      this.frame(m.snapshot, false);
    } else if (m.delta) {
      this.frame(m.delta, true);
    } else if (m.event) {
      this.event(m.event);
    } else if (m.goodbye) {
      this.goodbyeMs = m.goodbye.reconnect_after_ms ?? 0;
      this.url = m.goodbye.address || this.url;
    } else if (m.error) {
      this.refused(m.error);
    }
  }

  // refused: what may be asked again is asked again, slower each time; the rest is for the reader.
  private refused(e: ServerError): void {
    for (const t of this.topics) {
      if (t.topic !== e.topic) continue;
      if (!e.retry) {
        t.refused?.(e);
        continue;
      }
      clearTimeout(t.again);
      t.again = setTimeout(() => this.ask(t), t.askAgainMs);
      t.askAgainMs = Math.min(t.askAgainMs * 2, LONGEST_WAIT_MS);
    }
  }

  private frame(f: Frame, delta: boolean): void {
    const t = this.about(f);
    if (!t) return;
    if (f.sub) t.sub = f.sub;
    switch (accepts(t, f, delta)) {
      case "drop":
        return;
      case "resubscribe":
        if (!t.waiting) this.ask(t);
        return;
    }
    t.epoch = num(f.epoch);
    t.version = num(f.version);
    t.waiting = false;
    t.askAgainMs = FIRST_ASK_AGAIN_MS;
    if (delta) t.delta(f);
    else t.snapshot(f);
  }

  // event is one new entry of the inbox: what a delta is to other topics. Feeds and inboxes have one epoch.
  private event(e: LiveEvent): void {
    const t = this.topics.find((x) => x.topic === "inbox");
    if (!t || num(e.version) <= t.version) return;
    this.frame({ topic: t.topic, cut: t.cut, epoch: FEED_EPOCH, version: e.version, base: t.version, inbox: { items: [e] } }, t.version > 0);
  }

  // about finds the topic of a frame: by its name, or by the number that the node has given it.
  private about(f: Frame): Topic | undefined {
    return f.topic ? this.topics.find((x) => x.topic === f.topic && x.cut === (f.cut ?? "")) : this.topics.find((x) => f.sub && x.sub === f.sub);
  }

  private ask(t: Topic): void {
    t.waiting = true;
    this.send({ subscribe: { topic: t.topic, cut: t.cut, epoch: String(t.epoch), version: String(t.version) } });
  }

  private send(m: unknown): void {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(m)); // 1: open
  }
}
