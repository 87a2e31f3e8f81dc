package trial

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"paceline/domain/unit"
)

func TestCheckOpened(t *testing.T) {
	const gun = unit.InstantMs(1_000_000)
	fine := []opening{{5, "a", gun}, {19, "b", gun + 10_000}, {40, "a2", gun + 30_000}}
	for _, c := range []struct {
		name   string
		opened []opening
		silent []silence
		seen   []uint64
		want   string // empty: fine
	}{
		{"one after the other", fine, []silence{{"a", gun + 12_000}}, []uint64{5, 19, 40, 19}, ""},
		{"an epoch goes back", []opening{{5, "a", gun}, {5, "b", gun}}, nil, []uint64{5}, "epoch 5 follows 5"},
		{"a board that nobody has opened", fine, nil, []uint64{5, 20}, "epoch 20, which nobody has opened"},
		{"who was cut off writes on", fine, []silence{{"a2", gun + 20_000}}, []uint64{5}, "had stepped down"},
		{"nobody has seen anything", fine, nil, nil, "no viewer"},
	} {
		err := checkOpened(c.opened, c.silent, c.seen)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestNetwork: what is cut off hears nothing and is not refused, until the network heals; the way out is never cut.
func TestNetwork(t *testing.T) {
	n, err := newNetwork(2)
	if errors.Is(err, errNoNetwork) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.close(); err != nil {
			t.Error(err)
		}
	}()
	answers := func(l net.Listener, with string) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(with))
			_ = c.Close()
		}
	}
	ask := func(from *space, address string) (string, error) {
		return inside(from, func() (string, error) {
			c, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
			if err != nil {
				return "", err
			}
			defer func() { _ = c.Close() }()
			b := make([]byte, 16)
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
			k, err := c.Read(b)
			return string(b[:k]), err
		})
	}
	second, err := inside(n.nodes[1], func() (net.Listener, error) { return net.Listen("tcp", n.host(1)+":7946") })
	if err != nil {
		t.Fatal(err)
	}
	go answers(second, "second")
	store, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close(); _ = second.Close() }()
	go answers(store, "store")
	if err := n.out(0, store.Addr().String()); err != nil {
		t.Fatal(err)
	}
	for _, cut := range []bool{false, true, false} {
		if cut {
			err = n.cut(1)
		} else {
			err = n.heal(1)
		}
		if err != nil {
			t.Fatal(err)
		}
		said, err := ask(n.nodes[0], n.host(1)+":7946")
		var timeout net.Error
		if cut && (!errors.As(err, &timeout) || !timeout.Timeout()) || !cut && said != "second" {
			t.Errorf("cut %v: heard %q, %v", cut, said, err)
		}
		if said, err := ask(n.nodes[0], store.Addr().String()); said != "store" {
			t.Errorf("cut %v: the store says %q, %v", cut, said, err)
		}
	}
}
