package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"paceline/internal/obs"
)

type runCmd struct {
	settings
}

// Run serves until the process is asked to end, then leaves in order.
func (r runCmd) Run(p process) error {
	if err := r.validate(); err != nil {
		return err
	}
	log, err := obs.NewLog(p.err, r.LogFormat, r.LogLevel)
	if err != nil {
		return err
	}
	keys, err := r.tokenKeys() // kept once the store is open: a start that fails leaves nothing
	if err != nil {
		return err
	}
	if err := keys.AllowOn(r.Listen); err != nil {
		return err
	}
	listener, err := listen(r.Listen, r.AnyPort)
	if err != nil {
		return err
	}
	r.before = p.before
	n, err := start(p.ctx, r.settings, keys, log, listener)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if p.serving != nil {
		p.serving(n)
	}
	log.Info("serving", "address", n.URL(), "member", n.cluster.Member(), "store", r.Store, "node_time", n.clock.now().Node.Time().Format(time.RFC3339))
	fmt.Fprintf(p.out, "paceline serves on %s\n", n.URL())

	select {
	case <-p.ctx.Done():
		log.Info("leaving")
	case err = <-n.failed:
		log.Error("this run ends", "err", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.GoodbyeWithin+r.DrainWithin+5*time.Second)
	defer cancel()
	return errors.Join(err, n.stop(ctx))
}

// listen says in one sentence why it cannot. With anyPort a port that is taken is no reason: whoever looked for a free
// one before would lose it to a process that does the same.
func listen(address string, anyPort bool) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE) && anyPort:
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("--listen %q: %w", address, err)
		}
		return listen(net.JoinHostPort(host, "0"), false)
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s: another process uses this port (choose another with --listen)", address)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("cannot listen on %s: not permitted (ports below 1024 need a privilege)", address)
	}
	return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
}
