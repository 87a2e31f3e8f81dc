// Command loadclient holds a scenario of devices and viewers against a running node and checks the truth.
//
//	loadclient -url http://127.0.0.1:8080 -keys DIR [-scenario FILE] [-devices N] [-viewers M] [-seconds S] [-json FILE]
//
// It needs the node's token keys (tokens.json) to make tokens for its athletes. It exits with 0 only if every check and
// every objective of the scenario holds.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"paceline/gateway/auth"
	"paceline/simulations/swarm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	ok, err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadclient:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func run(ctx context.Context) (bool, error) {
	url := flag.String("url", "http://127.0.0.1:8080", "of the node, or of several of a cluster, with commas between: clients are spread over them")
	keys := flag.String("keys", "", "the node's folder of keys")
	file := flag.String("scenario", "", "a scenario file; the flags below change it")
	s := swarm.DefaultScenario()
	devices := flag.Int("devices", 0, "how many devices")
	viewers := flag.Int("viewers", -1, "how many viewers")
	seconds := flag.Int("seconds", 0, "of running, by the node's clock")
	report := flag.String("json", "", "where the report goes as JSON")
	flag.Parse()
	if *file != "" {
		var err error
		if s, err = swarm.ReadScenario(*file); err != nil {
			return false, err
		}
	}
	if *devices > 0 {
		s.Devices = *devices
	}
	if *viewers >= 0 {
		s.Viewers = *viewers
	}
	if *seconds > 0 {
		s.Seconds = *seconds
	}
	k, err := auth.LoadKeys(filepath.Join(*keys, "tokens.json"))
	if err != nil {
		return false, err
	}
	all := strings.Split(*url, ",")
	node, err := swarm.Connect(ctx, all[0], func(subject string) (string, error) {
		who, err := auth.ParsePrincipal(subject)
		if err != nil {
			return "", err
		}
		return k.Mint(auth.Grant{Principal: who, Now: time.Now(), Life: 24 * time.Hour})
	}, all[1:]...)
	if err != nil {
		return false, err
	}
	r, err := swarm.Run(ctx, node, s, os.Stderr)
	if err != nil {
		return false, err
	}
	fmt.Print(r.Text())
	if *report != "" {
		b, err := r.JSON()
		if err != nil {
			return false, err
		}
		if err := os.WriteFile(*report, b, 0o644); err != nil {
			return false, err
		}
	}
	return r.OK(), nil
}
