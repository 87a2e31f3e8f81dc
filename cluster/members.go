package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	pcluster "github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/gossip"
	"paceline/cluster/port"
	"paceline/cluster/split"
	"paceline/persistence"
)

// Many makes a member one of many. Without it a process is a cluster of its own.
type Many struct {
	// Gossip is how members see each other; of Self only the Gossip and Public addresses and the Level are taken.
	Gossip gossip.Config
	// Certificate of this member; nil: nothing between members is encrypted, which is for loopback only.
	Certificate *port.Certificate
	// Rows keep the members' rows.
	Rows persistence.Rows
	// Now is the wall clock that rows tell of and are compared with; nil: the machine's.
	Now func() time.Time
	// StepDown is called once when this member must not serve any more because others do; they are those others.
	StepDown func(others []gossip.Member)
	// Describe says what this member's row tells of it beside the membership: the feature level by which it writes, and
	// the code of why clients are better sent elsewhere. Nil: nothing.
	Describe func() (follows uint32, unready string)
	// Restart is called once when this run cannot go on and a new one can: the others have gone on without it.
	Restart func(why string)
}

// noticeAfter is how long somebody who was removed must be seen again before he is told: gossip of his leaving may
// still be on its way.
const noticeAfter = 3 * time.Second

// members is the membership: gossip and the rows, through the rule, to Proto.Actor's topology. All of it happens on one
// goroutine, because Proto.Actor publishes a topology synchronously under its lock.
type members struct {
	many  Many
	name  string
	log   *slog.Logger
	kinds []string

	runtime *pcluster.Cluster
	self    gossip.Member
	gossip  *gossip.Gossip
	rule    *split.State
	nodes   nodes

	seen   chan []gossip.Member // capacity 1: the newest
	read   chan reading
	notice chan *clusterv1.Removed
	ctx    context.Context // until leave
	end    context.CancelFunc
	ended  sync.WaitGroup
	ready  chan struct{} // closed when this member serves for the first time

	mu       sync.Mutex
	serving  []string
	verdict  split.Verdict
	known    map[string]known // everybody who is seen or has a row, by id
	leaving  bool
	changed  time.Time
	lastRows []*clusterv1.NodeRow
	turned   time.Time            // the last turn of run
	moved    map[string]time.Time // rows: when they moved last
}

var _ pcluster.ClusterProvider = (*members)(nil)

func newMembers(ctx context.Context, name string, many Many, log *slog.Logger) *members {
	m := &members{
		many: many, name: name, log: log, nodes: nodesOf(many.Rows, name),
		seen: make(chan []gossip.Member, 1), read: make(chan reading), notice: make(chan *clusterv1.Removed, 16),
		ready: make(chan struct{}), known: make(map[string]known),
	}
	m.ctx, m.end = context.WithCancel(context.WithoutCancel(ctx))
	return m
}

func (m *members) serves() <-chan struct{} { return m.ready }

// serve implements provider.
func (m *members) serve(kinds []string) { m.kinds = kinds }

// StartMember implements cluster.ClusterProvider.
func (m *members) StartMember(c *pcluster.Cluster) error {
	m.runtime = c
	m.self = m.many.Gossip.Self
	m.self.ID, m.self.Address, m.self.StartedMs = c.ActorSystem.ID, c.ActorSystem.Address(), time.Now().UnixMilli()
	m.rule = split.New(m.self.ID, m.self.Address)
	cfg := m.many.Gossip
	cfg.Cluster, cfg.Self, cfg.Log = m.name, m.self, m.log
	g, err := gossip.Start(m.ctx, cfg, m.newest)
	if err != nil {
		return err
	}
	m.gossip = g
	m.self.Gossip = g.Address()
	g.OnNotice(m.noticed)
	m.ended.Add(2)
	go m.renew()
	go m.run()
	return nil
}

// StartClient implements cluster.ClusterProvider: every process is a member (a client's shutdown panics).
func (m *members) StartClient(c *pcluster.Cluster) error { return m.StartMember(c) }

// Shutdown implements cluster.ClusterProvider; leave has done the work.
func (m *members) Shutdown(bool) error { return nil }

// leave tells the others, and ends.
func (m *members) leave(ctx context.Context) error {
	m.mu.Lock()
	was := m.leaving
	m.leaving = true
	m.mu.Unlock()
	if was || m.gossip == nil {
		return nil
	}
	m.end()
	m.ended.Wait()
	row, cancel := context.WithTimeout(ctx, leaveWithin/2) // a store that does not answer leaves time for gossip
	defer cancel()
	if err := m.nodes.drop(row, m.self.ID); err != nil {
		m.log.Warn("the row of this member is left behind", "err", err) // the others see it stand still
	}
	return m.gossip.Leave(ctx)
}

// newest is gossip's: keep the newest view only.
func (m *members) newest(all []gossip.Member) {
	select {
	case <-m.seen:
	default:
	}
	select {
	case m.seen <- all:
	case <-m.ctx.Done():
	}
}

func (m *members) noticed(from string, b []byte) {
	r := &clusterv1.Removed{}
	if proto.Unmarshal(b, r) != nil || r.GetId() != m.self.ID || !slices.Contains(r.GetMembers(), from) {
		return
	}
	select {
	case m.notice <- r:
	case <-m.ctx.Done():
	default: // it will be said again
	}
}

// renew writes this member's row once a second and reads all of them twice as often, so that it is known to half a second
// when a row moved last; one at a time: a store that is slow makes this slower, and everybody sees that.
func (m *members) renew() {
	defer m.ended.Done()
	tick := time.NewTicker(renewEvery / readsPerBeat)
	defer tick.Stop()
	var old stalls
	for i := uint64(0); ; i++ {
		if err := m.renewOnce(1+i/readsPerBeat, i%readsPerBeat == 0, &old); err != nil && m.ctx.Err() == nil {
			m.log.Warn("the members' rows cannot be renewed or read", "err", err)
		}
		select {
		case <-tick.C:
		case <-m.ctx.Done():
			return
		}
	}
}

func (m *members) renewOnce(beat uint64, write bool, old *stalls) error {
	ctx, cancel := context.WithTimeout(m.ctx, renewWithin)
	defer cancel()
	if write {
		if err := m.nodes.put(ctx, m.row(beat)); err != nil {
			return err
		}
	}
	rows, err := m.nodes.all(ctx)
	if err != nil {
		return err
	}
	select {
	case m.read <- reading{rows, m.silent(old.of(rows, time.Now()))}:
	case <-m.ctx.Done():
	}
	return nil
}

func (m *members) row(beat uint64) *clusterv1.NodeRow {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &clusterv1.NodeRow{
		Id: m.self.ID, Address: m.self.Address, Gossip: m.self.Gossip, Public: m.self.Public, StartedMs: m.self.StartedMs,
		Beat: beat, NowMs: m.many.now()().UnixMilli(), Level: m.self.Level, Members: uint32(len(m.serving)),
		Serves: len(m.serving) > 0 && m.verdict.Kind != split.StepDown, Down: m.verdict.Kind == split.StepDown,
	}
	if m.many.Describe != nil {
		r.Follows, r.Unready = m.many.Describe()
	}
	for _, one := range m.known {
		if one.seen {
			r.Sees = append(r.Sees, one.ID)
		}
	}
	slices.Sort(r.Sees)
	return r
}

// known is a member of which something was heard; seen says whether gossip sees it now.
type known struct {
	gossip.Member
	seen bool
}

// view is what run knows; nobody else touches it.
type view struct {
	seen     []gossip.Member
	removed  map[string]time.Time // runs that others go on without: since when they are seen again (zero: they are not)
	restart  bool                 // was asked for
	stepped  bool
	moved    map[string]time.Time // rows: when they moved last
	beats    map[string]uint64
	notified time.Time
	silent   []string // by the newest reading
}

func (m *members) run() {
	defer m.ended.Done()
	v := &view{removed: make(map[string]time.Time), moved: make(map[string]time.Time), beats: make(map[string]uint64)}
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for {
		var rows []*clusterv1.NodeRow
		select {
		case v.seen = <-m.seen:
		case r := <-m.read:
			rows, v.silent = r.rows, r.silent
			m.sweep(v, rows)
		case r := <-m.notice:
			m.told(v, r)
		case <-tick.C:
		case <-m.ctx.Done():
			return
		}
		if v.seen == nil {
			continue
		}
		in := split.Input{NowMs: time.Since(began).Milliseconds(), Seen: m.countable(v), Suspects: append(suspects(v.seen), v.silent...)}
		if rows != nil {
			in.Rows = forRule(rows)
		}
		m.learn(v, rows)
		m.act(v, m.rule.Decide(in))
		m.tell(v)
	}
}

// countable are the ids that may be members: a run that was removed stays removed, Proto.Actor never takes it back.
func (m *members) countable(v *view) []string {
	var ids []string
	for _, one := range v.seen {
		if _, gone := v.removed[one.ID]; !gone {
			ids = append(ids, one.ID)
		}
	}
	return ids
}

func suspects(seen []gossip.Member) []string {
	var ids []string
	for _, one := range seen {
		if one.Suspect {
			ids = append(ids, one.ID)
		}
	}
	return ids
}

// learn keeps what is known of everybody, for those who ask.
func (m *members) learn(v *view, rows []*clusterv1.NodeRow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turned = time.Now()
	all := make(map[string]known, len(v.seen))
	if rows != nil {
		m.lastRows, m.moved = rows, maps.Clone(v.moved)
	}
	for _, r := range m.lastRows {
		all[r.GetId()] = known{Member: gossip.Member{
			ID: r.GetId(), Address: r.GetAddress(), Gossip: r.GetGossip(), Public: r.GetPublic(),
			StartedMs: r.GetStartedMs(), Level: r.GetLevel(),
		}}
	}
	for _, one := range v.seen {
		all[one.ID] = known{Member: one, seen: true}
	}
	m.known = all
	var missed []string
	for _, one := range all {
		if !one.seen && one.Gossip != "" {
			missed = append(missed, one.Gossip)
		}
	}
	slices.Sort(missed)
	m.gossip.Also(missed)
}

// act does what the rule says.
func (m *members) act(v *view, verdict split.Verdict) {
	m.mu.Lock()
	m.verdict = verdict
	leaving := m.leaving
	m.mu.Unlock()
	if leaving {
		return
	}
	switch verdict.Kind {
	case split.Serve:
		m.topology(v, verdict.Members)
	case split.StepDown:
		if v.stepped {
			return
		}
		v.stepped = true
		m.log.Warn("this member steps down: others serve, and it does not see them", "others", verdict.Other)
		if m.many.StepDown != nil {
			m.many.StepDown(m.fit(m.named(verdict.Other)))
		}
	case split.Restart:
		m.restart(v, "the members that served meanwhile can be joined again")
	case split.Hold:
	}
}

func (m *members) restart(v *view, why string) {
	m.mu.Lock()
	leaving := m.leaving
	m.mu.Unlock()
	if v.restart || leaving {
		return
	}
	v.restart = true
	m.log.Warn("this run ends, a new one is needed", "why", why)
	if m.many.Restart != nil {
		m.many.Restart(why)
	}
}

// topology tells Proto.Actor who the members are.
func (m *members) topology(v *view, ids []string) {
	m.mu.Lock()
	same := slices.Equal(ids, m.serving)
	before := m.serving
	m.mu.Unlock()
	if same {
		return
	}
	all := make(pcluster.Members, 0, len(ids))
	for _, one := range v.seen {
		if !slices.Contains(ids, one.ID) {
			continue
		}
		host, port, err := hostPort(one.Address)
		if err != nil {
			m.log.Error("a member's address cannot be used", "member", one.ID, "address", one.Address, "err", err)
			continue
		}
		all = append(all, &pcluster.Member{Id: one.ID, Host: host, Port: port, Kinds: append(m.runtime.GetClusterKinds(), m.kinds...)})
	}
	for _, id := range before {
		if !slices.Contains(ids, id) {
			v.removed[id] = time.Time{}
		}
	}
	m.runtime.MemberList.UpdateClusterTopology(all)
	m.mu.Lock()
	m.serving, m.changed = ids, time.Now()
	m.mu.Unlock()
	m.log.Info("members", "count", len(ids), "members", ids)
	if before == nil {
		close(m.ready)
	}
}

// tell says to those who were removed, and are there, that the others have gone on without them.
func (m *members) tell(v *view) {
	m.mu.Lock()
	serving := m.serving
	serves := m.verdict.Kind != split.StepDown && len(serving) > 0
	m.mu.Unlock()
	now := time.Now()
	for id, since := range v.removed {
		there := slices.ContainsFunc(v.seen, func(one gossip.Member) bool { return one.ID == id })
		switch {
		case !there:
			v.removed[id] = time.Time{}
		case since.IsZero():
			v.removed[id] = now
		case serves && now.Sub(since) >= noticeAfter && now.Sub(v.notified) >= time.Second:
			v.notified = now
			m.sendRemoved(id, serving)
		}
	}
}

func (m *members) sendRemoved(id string, serving []string) {
	b, err := proto.Marshal(&clusterv1.Removed{Id: id, Members: serving})
	if err == nil {
		err = m.gossip.Send(id, b)
	}
	if err != nil {
		m.log.Debug("a removed member was not told", "member", id, "err", err)
	}
}

// told: others say that they go on without this run. If this one has removed them as well, both halves have served, and
// the smaller one begins anew.
func (m *members) told(v *view, r *clusterv1.Removed) {
	m.mu.Lock()
	serving := m.serving
	m.mu.Unlock()
	for _, other := range r.GetMembers() {
		if _, removed := v.removed[other]; removed && !split.Loses(serving, r.GetMembers()) {
			return
		}
	}
	m.restart(v, fmt.Sprintf("%d members go on without it", len(r.GetMembers())))
}

// sweep deletes the rows of the long dead; one member does it.
func (m *members) sweep(v *view, rows []*clusterv1.NodeRow) {
	now := time.Now()
	m.mu.Lock()
	mine := len(m.serving) > 0 && m.serving[0] == m.self.ID
	m.mu.Unlock()
	for _, r := range rows {
		if beat, known := v.beats[r.GetId()]; !known || beat != r.GetBeat() {
			v.beats[r.GetId()], v.moved[r.GetId()] = r.GetBeat(), now
		}
		if mine && now.Sub(v.moved[r.GetId()]) >= forgetAfter {
			ctx, cancel := context.WithTimeout(m.ctx, renewWithin)
			if err := m.nodes.drop(ctx, r.GetId()); err != nil {
				m.log.Debug("the row of a dead member stays", "member", r.GetId(), "err", err)
			}
			cancel()
			delete(v.beats, r.GetId())
			delete(v.moved, r.GetId())
		}
	}
}

// named are the members of those ids, as far as they are known.
func (m *members) named(ids []string) []gossip.Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []gossip.Member
	for _, id := range ids {
		if one, ok := m.known[id]; ok {
			all = append(all, one.Member)
		}
	}
	return all
}

func hostPort(address string) (host string, port int32, err error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(p, 10, 16)
	return host, int32(n), err
}
