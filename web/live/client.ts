// The live client for viewers: one WebSocket that comes back by itself, resumes topics at the {epoch, version} last
// seen, and drops what would go back. docs/protocol.md is what it follows.
import { num, type Frame, type ServerError, type ServerMessage } from "./types";

export type Connection = "connecting" | "live" | "lost" | "refused";

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
}

// accepts decides whether a frame may be shown: never back; a delta only on its base.
export function accepts(at: { epoch: number; version: number }, frame: Frame, delta: boolean): "take" | "drop" | "resubscribe" {
  const epoch = num(frame.epoch), version = num(frame.version);
  if (epoch < at.epoch || (epoch === at.epoch && version < at.version)) return "drop";
  if (delta && (epoch !== at.epoch || num(frame.base) !== at.version)) return "resubscribe";
  return "take";
}

export interface Options {
  url: string;
  token?: string;
  onConnection?(state: Connection, why: string): void;
  heartbeatMs?: number;
}

export class LiveClient {
  private socket?: WebSocket;
  private topics: Topic[] = [];
  private backOffMs = 250;
  private closed = false;
  private welcomed = false;
  private heartbeat?: ReturnType<typeof setInterval>;
  private again?: ReturnType<typeof setTimeout>;
  private heardAt = 0;

  constructor(private readonly o: Options) {
    this.connect();
  }

  subscribe(topic: string, cut: string, handlers: Handlers): () => void {
    const t: Topic = { topic, cut, epoch: 0, version: 0, waiting: true, ...handlers };
    this.topics.push(t);
    if (this.welcomed) this.ask(t);
    return () => {
      this.topics = this.topics.filter((x) => x !== t);
      this.send({ unsubscribe: { topic, cut } });
    };
  }

  close(): void {
    this.closed = true;
    clearInterval(this.heartbeat);
    clearTimeout(this.again);
    this.socket?.close(1000);
  }

  private connect(): void {
    this.o.onConnection?.("connecting", "");
    this.welcomed = false;
    const socket = new WebSocket(this.o.url, ["paceline.v1.json"]);
    this.socket = socket;
    this.heardAt = Date.now();
    socket.onopen = () => this.send({ hello: { token: this.o.token ?? "", client: "paceline-web 1", clockMs: String(Date.now()) } });
    socket.onmessage = (e) => {
      this.heardAt = Date.now();
      if (typeof e.data === "string") this.receive(JSON.parse(e.data) as ServerMessage);
    };
    socket.onclose = (e) => this.ended(socket, e.code, e.reason);
    clearInterval(this.heartbeat);
    this.heartbeat = setInterval(() => {
      if (Date.now() - this.heardAt > 45_000) socket.close();
      else this.send({ ping: { t0Ms: String(Date.now()) } });
    }, this.o.heartbeatMs ?? 15_000);
  }

  private ended(socket: WebSocket, code: number, reason: string): void {
    if (this.closed || socket !== this.socket) return;
    clearInterval(this.heartbeat);
    this.welcomed = false;
    if (meaning(code) !== "reconnect") {
      this.o.onConnection?.("refused", reason || String(code));
      return;
    }
    this.o.onConnection?.("lost", reason);
    this.again = setTimeout(() => this.connect(), this.backOffMs * (0.5 + Math.random()));
    this.backOffMs = Math.min(this.backOffMs * 2, 5_000);
  }

  private receive(m: ServerMessage): void {
    if (m.welcome) {
      this.welcomed = true;
      this.backOffMs = 250;
      this.o.onConnection?.("live", "");
      for (const t of this.topics) this.ask(t);
    } else if (m.snapshot) {
      this.frame(m.snapshot, false);
    } else if (m.delta) {
      this.frame(m.delta, true);
    } else if (m.error) {
      const { topic } = m.error;
      for (const t of this.topics) if (t.topic === topic) t.refused?.(m.error);
    }
  }

  private frame(f: Frame, delta: boolean): void {
    const t = this.topics.find((x) => x.topic === f.topic && x.cut === (f.cut ?? ""));
    if (!t) return;
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
    if (delta) t.delta(f);
    else t.snapshot(f);
  }

  private ask(t: Topic): void {
    t.waiting = true;
    this.send({ subscribe: { topic: t.topic, cut: t.cut, epoch: String(t.epoch), version: String(t.version) } });
  }

  private send(m: unknown): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(m));
  }
}
