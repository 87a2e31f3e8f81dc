package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
)

type clusterCmd struct {
	Status clusterStatusCmd `cmd:"" help:"Who the members are, and what each does."`
	Raise  clusterRaiseCmd  `cmd:"" help:"Let the cluster write what a newer feature level allows, once all nodes run the release that can read it. There is no way back."`
}

type clusterStatusCmd struct {
	settings
	JSON  bool   `name:"json" help:"As one JSON object."`
	Owner string `help:"Also say which node a grain lives on: competition/ID, user/ID, training/PERSON/ID or device/PERSON/ID." default:"" placeholder:"KIND/ID"`
}

// Run asks the node at --listen, which asks the others.
func (c clusterStatusCmd) Run(p process) error {
	if err := c.validate(); err != nil {
		return err
	}
	ask := &managev1.GetClusterStatusRequest{}
	if c.Owner != "" {
		var ok bool
		if ask.OwnerKind, ask.OwnerId, ok = strings.Cut(c.Owner, "/"); !ok {
			return fmt.Errorf("--owner %q: want kind/id, as competition/spring-cup or training/ann/w1", c.Owner)
		}
	}
	nodes, err := c.operator()
	if err != nil {
		return err
	}
	s, err := nodes.status(p.ctx, ask)
	if err != nil {
		return err
	}
	if c.JSON {
		b, err := protojson.MarshalOptions{Multiline: true, EmitUnpopulated: true}.Marshal(s)
		if err == nil {
			_, err = fmt.Fprintln(p.out, string(b))
		}
		return err
	}
	return printStatus(p.out, s, time.Now())
}

type clusterRaiseCmd struct {
	settings
	To int `help:"The level. 0: the newest that every member can read." default:"0"`
}

// followWithin is how long the members may take to follow; a second each is usual.
const followWithin = 15 * time.Second

// Run raises, and waits until all members that are seen follow.
func (c clusterRaiseCmd) Run(p process) error {
	if err := c.validate(); err != nil {
		return err
	}
	if c.To < 0 {
		return errors.New("--to: want a feature level, or 0")
	}
	nodes, err := c.operator()
	if err != nil {
		return err
	}
	raised, err := nodes.raise(p.ctx, uint32(c.To))
	if err != nil {
		return err
	}
	switch {
	case raised.To == raised.From:
		_, err = fmt.Fprintf(p.out, "the feature level is %d already\n", raised.To)
		return err
	case c.To != 0 && raised.To != uint32(c.To):
		return fmt.Errorf("another raise was faster: the feature level is %d", raised.To)
	}
	fmt.Fprintf(p.out, "raised from feature level %d to %d\n", raised.From, raised.To)
	late, err := nodes.following(p.ctx, raised.To)
	if err == nil && len(late) > 0 {
		err = fmt.Errorf("the level holds, but not everybody is seen to follow within %v: %s", followWithin, strings.Join(late, ", "))
	}
	if err == nil {
		_, err = fmt.Fprintln(p.out, "all members follow")
	}
	return err
}

// operatorClient asks the node at --listen.
type operatorClient struct {
	listen, token string
	client        managev1.NodeServiceClient
}

func (s settings) operator() (operatorClient, error) {
	token, err := s.operatorToken("operator:cluster")
	if err != nil {
		return operatorClient{}, err
	}
	return operatorClient{listen: s.Listen, token: token, client: managev1.NewNodeServiceClient(http.DefaultClient, "http://"+s.Listen)}, nil
}

func (o operatorClient) status(ctx context.Context, r *managev1.GetClusterStatusRequest) (*managev1.GetClusterStatusResponse, error) {
	ask := connect.NewRequest(r)
	ask.Header().Set("Authorization", "Bearer "+o.token)
	s, err := o.client.GetClusterStatus(ctx, ask)
	if err != nil {
		return nil, o.said(err)
	}
	return s.Msg, nil
}

func (o operatorClient) raise(ctx context.Context, to uint32) (*managev1.RaiseLevelResponse, error) {
	ask := connect.NewRequest(&managev1.RaiseLevelRequest{To: to})
	ask.Header().Set("Authorization", "Bearer "+o.token)
	s, err := o.client.RaiseLevel(ctx, ask)
	if err != nil {
		return nil, o.said(err)
	}
	return s.Msg, nil
}

// following waits until all members that are seen write by a level, and names those that do not.
func (o operatorClient) following(ctx context.Context, to uint32) (late []string, err error) {
	for end := time.Now().Add(followWithin); ; {
		s, err := o.status(ctx, &managev1.GetClusterStatusRequest{})
		if err != nil {
			return nil, err
		}
		late = nil
		for _, m := range s.Members {
			if m.Seen && max(m.Follows, m.GetSays().GetFollows()) < to {
				late = append(late, memberName(m))
			}
		}
		if len(late) == 0 || time.Now().After(end) {
			return late, nil
		}
		select {
		case <-ctx.Done():
			return late, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// said is a node's refusal as one sentence, with its particulars; one without a fault is that of the way.
func (o operatorClient) said(err error) error {
	var refused *connect.Error
	if errors.As(err, &refused) {
		for _, d := range refused.Details() {
			v, bad := d.Value()
			if f, ok := v.(*clusterv1.Fault); ok && bad == nil {
				if f.Detail != "" {
					return fmt.Errorf("%s (%s)", f.Message, f.Detail)
				}
				return errors.New(f.Message)
			}
		}
		if refused.Code() == connect.CodeUnimplemented {
			return fmt.Errorf("the node at %s runs a release that knows nothing of this", o.listen)
		}
	}
	return fmt.Errorf("no node answers at %s: name its --listen (%w)", o.listen, err)
}
