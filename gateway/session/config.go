package session

import "paceline/domain/unit"

// Config bounds a session. Zero values mean the default.
type Config struct {
	MaxSamplesPerS   uint32          // on the node clock, for all streams of the connection together
	BurstSamples     uint32          // how many may come at once; more forgives longer silence
	MessagesPerS     uint32          // of any kind, on the wall clock; beyond it and its burst the client is cut off
	BurstMessages    uint32          // a backlog of small frames comes at once
	BurstReactions   uint32          // at once; one a second comes back
	UnackedFrames    int             // frames under way; more costs memory, fewer costs throughput on long roads
	UnackedBytes     int             // bytes of them
	MaxStreams       int             // open at once
	MaxSubscriptions int             // at once
	MaxCommands      int             // under way at once
	MaxRequests      int             // under way at once, beside frames and commands
	SlowAfter        unit.DurationMs // a frame under way for so long: the client is throttled
	SlowHold         unit.DurationMs // how long it is then told to wait before the next try
	Heartbeat        unit.DurationMs // a client says something at least this often; three missed ones end it
	HelloWithin      unit.DurationMs // of the connection's start
	RequestWithin    unit.DurationMs // deadline of one request to a grain
	RetryAfter       unit.DurationMs // first pause before a request is repeated; doubles
	Attempts         int             // of one request
	ClockOff         unit.DurationMs // a device clock further from the node's is implausible
	Redecide         unit.DurationMs // how often it is asked whether somebody may still watch what not everybody may
	FloodFrames      int             // frames dropped in a row until the connection is closed
}

// Default is the configuration of a node.
func Default() Config {
	return Config{
		MaxSamplesPerS: 500, BurstSamples: 8192, MessagesPerS: 2000, BurstMessages: 20_000, BurstReactions: 10, UnackedFrames: 32, UnackedBytes: 1 << 20, MaxStreams: 16,
		MaxSubscriptions: 64, MaxCommands: 16, MaxRequests: 64, SlowAfter: 2 * unit.Second, SlowHold: 2 * unit.Second, Heartbeat: 25 * unit.Second, HelloWithin: 10 * unit.Second,
		RequestWithin: 10 * unit.Second, RetryAfter: 200, Attempts: 4, ClockOff: unit.Day, FloodFrames: 512, Redecide: 30 * unit.Second,
	}
}

func pick[T int | uint32 | unit.DurationMs](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

func (c Config) withDefaults() Config {
	d := Default()
	pick(&c.MaxSamplesPerS, d.MaxSamplesPerS)
	pick(&c.BurstSamples, d.BurstSamples)
	pick(&c.MessagesPerS, d.MessagesPerS)
	pick(&c.BurstMessages, d.BurstMessages)
	pick(&c.BurstReactions, d.BurstReactions)
	pick(&c.UnackedFrames, d.UnackedFrames)
	pick(&c.UnackedBytes, d.UnackedBytes)
	pick(&c.MaxStreams, d.MaxStreams)
	pick(&c.MaxSubscriptions, d.MaxSubscriptions)
	pick(&c.MaxCommands, d.MaxCommands)
	pick(&c.MaxRequests, d.MaxRequests)
	pick(&c.SlowAfter, d.SlowAfter)
	pick(&c.SlowHold, d.SlowHold)
	pick(&c.Heartbeat, d.Heartbeat)
	pick(&c.HelloWithin, d.HelloWithin)
	pick(&c.RequestWithin, d.RequestWithin)
	pick(&c.RetryAfter, d.RetryAfter)
	pick(&c.Attempts, d.Attempts)
	pick(&c.ClockOff, d.ClockOff)
	pick(&c.Redecide, d.Redecide)
	pick(&c.FloodFrames, d.FloodFrames)
	return c
}
