package rest

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/cluster/call"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/gateway/auth"
	"paceline/gateway/trace"
	"paceline/persistence/view"
)

// Asker asks grains.
type Asker interface {
	Ask(ctx context.Context, to id.Grain, msg proto.Message) (proto.Message, error)
}

// Exporter writes the bundle that `paceline verify` checks.
type Exporter interface {
	Export(ctx context.Context, competition string, w io.Writer) error
}

// Backuper writes all that the node's store holds, as one file.
type Backuper interface {
	Backup(ctx context.Context, w io.Writer) error
}

// Rebuilder makes views anew and tells how far it is; views are named as in view.Kinds.
type Rebuilder interface {
	Rebuild(ctx context.Context, views string, eachSecond int, tell func(phase string, grains uint64)) error
}

// Operating is the cluster for its operators.
type Operating interface {
	// Status says what all members do, and who owns a grain (nil: none is asked for).
	Status(ctx context.Context, owned *id.Grain) (*managev1.GetClusterStatusResponse, error)
	// Raise raises the feature level; 0: as far as it goes.
	Raise(ctx context.Context, to uint32) (*managev1.RaiseLevelResponse, error)
}

// Competitions says what a decision about a competition needs.
type Competitions interface {
	Competition(ctx context.Context, competition string, p auth.Principal) (auth.Resource, error)
}

// Deps is what the API needs.
type Deps struct {
	Calls  Asker
	Views  view.Reader
	Races  Competitions
	Export Exporter
	Backup Backuper
	Anew   Rebuilder

	Cluster Operating

	Verify func(token string, now time.Time) (auth.Principal, time.Time, error)
	Clock  func() step.Now
	Rate   float64       // of the node's clock against the wall clock
	NewID  func() string // UUIDv7
	Live   http.Handler  // the live protocol, at /live
	Pages  fs.FS         // nil: none
	Ready  func() error  // nil or an error: whether to send clients here
	Alive  func() error  // nil or an error: whether this process is to be ended and started again
	Log    *slog.Logger
}

// maxRequestBytes bounds a request of the API: a definition with a long course fits.
const maxRequestBytes = 4 << 20

// compressFrom bytes on an answer is worth compressing: it costs more than sending less does, and would not make fewer packets.
const compressFrom = 1 << 10

// within is the deadline of a request that brings none.
const within = 15 * time.Second

type api struct{ Deps }

// Handler is everything that a node serves over HTTP.
func Handler(d Deps) http.Handler {
	a := &api{d}
	options := append(codecs(),
		connect.WithInterceptors(&guard{a}),
		connect.WithCompression("gzip", newGunzip, newGzip),
		connect.WithCompressMinBytes(compressFrom),
		connect.WithRecover(a.recovered),
	)
	mux := http.NewServeMux()
	handle := func(path string, h http.Handler) { mux.Handle(path, traced(limited(h))) }
	handle(managev1.NewUserServiceHandler(users{a}, options...))
	handle(managev1.NewDeviceServiceHandler(devices{a}, options...))
	handle(managev1.NewTrainingServiceHandler(trainings{a}, options...))
	handle(managev1.NewCompetitionServiceHandler(competitions{a}, options...))
	handle(managev1.NewNodeServiceHandler(nodes{a}, options...))
	mux.HandleFunc("GET /livez", probe("ok", d.Alive))
	mux.HandleFunc("GET /healthz", probe("ok", d.Alive))
	mux.HandleFunc("GET /readyz", probe("ready", d.Ready))
	if d.Live != nil {
		mux.Handle("/live", d.Live)
	}
	if d.Pages != nil {
		mux.Handle("/", pages(d.Pages)) // "GET /" would overlap with the paths of the API
	}
	return mux
}

// traced gives every request its trace, and every answer, also one that no interceptor sees.
func traced(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := trace.Of(r.Header)
		w.Header().Set(trace.ID, t)
		h.ServeHTTP(w, r.WithContext(call.WithTrace(r.Context(), t)))
	})
}

// NewServer is an HTTP server with the limits of a node: HTTP/1.1 and HTTP/2, also without TLS.
func NewServer(h http.Handler) *http.Server {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		Protocols: new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	return s
}

func (a *api) recovered(ctx context.Context, s connect.Spec, _ http.Header, p any) error {
	a.Log.Error("an RPC has panicked", "procedure", s.Procedure, "trace", call.Trace(ctx), "panic", p)
	return status(errPanic, call.Trace(ctx))
}

var errPanic = fault.New(fault.Internal, "internal", "Something went wrong on our side.")

// guard reads the token of every RPC, gives it a deadline and translates its errors.
type guard struct{ a *api }

type principalKey struct{}

// principal is who calls.
func principal(ctx context.Context) auth.Principal {
	p, _ := ctx.Value(principalKey{}).(auth.Principal)
	return p
}

var errScheme = fault.New(fault.Unauthentic, "auth.scheme", "The Authorization header must be: Bearer TOKEN.")

func (g *guard) enter(ctx context.Context, h http.Header) (context.Context, context.CancelFunc, error) {
	token := h.Get("Authorization")
	if token != "" {
		var ok bool
		if token, ok = strings.CutPrefix(token, "Bearer "); !ok || token == "" {
			return nil, nil, errScheme
		}
	}
	p, _, err := g.a.Verify(token, g.a.Clock().Wall.Time())
	if err != nil {
		return nil, nil, err
	}
	cancel := func() {}
	if _, has := ctx.Deadline(); !has {
		ctx, cancel = context.WithTimeout(ctx, within)
	}
	return context.WithValue(ctx, principalKey{}, p), cancel, nil
}

func (g *guard) leave(ctx context.Context, s connect.Spec, err error) error {
	if err != nil && fault.Of(err).Kind == fault.Internal {
		g.a.Log.Error("an RPC has failed", "procedure", s.Procedure, "trace", call.Trace(ctx), "error", err)
	}
	return status(err, call.Trace(ctx))
}

// WrapUnary implements connect.Interceptor.
func (g *guard) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		entered, cancel, err := g.enter(ctx, r.Header())
		if err != nil {
			return nil, g.leave(ctx, r.Spec(), err)
		}
		defer cancel()
		if err := unread(r.Any()); err != nil {
			return nil, g.leave(ctx, r.Spec(), err)
		}
		answer, err := next(entered, r)
		return answer, g.leave(ctx, r.Spec(), err)
	}
}

// WrapStreamingClient implements connect.Interceptor; this is no client.
func (g *guard) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// exportWithin bounds a stream: a bundle of a big race takes its time.
const exportWithin = 10 * time.Minute

// WrapStreamingHandler implements connect.Interceptor.
func (g *guard) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, c connect.StreamingHandlerConn) error {
		if _, has := ctx.Deadline(); !has {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, exportWithin)
			defer cancel()
		}
		entered, cancel, err := g.enter(ctx, c.RequestHeader())
		if err != nil {
			return g.leave(ctx, c.Spec(), err)
		}
		defer cancel()
		return g.leave(ctx, c.Spec(), next(entered, checked{c}))
	}
}
