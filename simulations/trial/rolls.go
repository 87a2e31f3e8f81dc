package trial

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/cluster/level"
)

// previous names the build before this one, as long as there is no release.
//
//go:embed previous
var previous string

// Previous is the build before this one: the newest release in the repository of a folder, by its tag v*, that this commit
// is not itself and does not lie behind; else the commit that the file names.
func Previous(ctx context.Context, in string) (string, error) {
	// The suffix makes a candidate (v2.0.0-rc1) older than its release.
	cmd := exec.CommandContext(ctx, "git", "-c", "versionsort.suffix=-", "tag", "--list", "v*", "--sort=-v:refname", "--no-contains", "HEAD")
	cmd.Dir = in
	var said strings.Builder
	cmd.Stderr = &said
	tags, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("trial: %v: %w: %s", cmd.Args, err, said.String())
	}
	for tag := range strings.Lines(string(tags)) {
		return strings.TrimSpace(tag), nil
	}
	return named(), nil
}

// named is the commit in the file.
func named() string {
	for line := range strings.Lines(previous) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return ""
}

// ErrNoPrevious: this clone does not hold the commit of the build before.
var ErrNoPrevious = errors.New("trial: the build before this one is not in this clone (a shallow one? git fetch --unshallow)")

// BuildPrevious builds which, the build before this one, from a worktree in a folder of the caller's, without the page, and
// takes the worktree away. It is called in this module's folder or beneath it.
func BuildPrevious(ctx context.Context, which, folder string) (binary string, err error) {
	tree := filepath.Join(folder, "previous-tree")
	run := func(in, name string, args ...string) error {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = in
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("trial: %s %s: %w: %s", name, strings.Join(args, " "), err, out)
		}
		return nil
	}
	if run("", "git", "cat-file", "-e", which+"^{commit}") != nil {
		return "", ErrNoPrevious
	}
	if err := run("", "git", "worktree", "add", "--detach", "--force", tree, which+"^{commit}"); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, run("", "git", "worktree", "remove", "--force", tree)) }()
	binary = filepath.Join(folder, "previous")
	return binary, run(tree, "go", "build", "-o", binary, "./cmd/node")
}

// program is which program a node's next run is; its zero value is the fleet's, with the flags of all.
type program struct {
	binary string
	flags  []string // beside those of all
}

func (b program) onto(cmd *exec.Cmd) {
	if b.binary != "" {
		cmd.Path = b.binary
	}
	cmd.Args = append(cmd.Args, b.flags...)
}

// Rolls are the trials with two builds: all nodes go from one to the other in the middle of a race, one at a time.
var Rolls = []Trial{
	{Name: "previous build to this one, and raised", Seconds: 90, Previous: true, Prepare: func(f *Fleet) {
		for _, p := range f.nodes {
			p.program = program{binary: f.previous}
		}
	}, Do: func(ctx context.Context, r *Round) error {
		if err := r.roll(ctx, r.Fleet.binary); err != nil {
			return err
		}
		if err := r.at(ctx, level.Before); err != nil {
			return err
		}
		if _, err := r.cluster(ctx, "raise"); err != nil {
			return err
		}
		r.mark() // everything goes on; the times are those of the roll
		return errors.Join(r.Back(ctx, false), r.at(ctx, level.This.Writes))
	}},
	{Name: "this build to the previous one", Seconds: 90, Previous: true, Prepare: func(f *Fleet) {
		for _, p := range f.nodes {
			p.program = program{binary: f.binary, flags: []string{fmt.Sprint("--first-level=", level.Before)}}
		}
	}, Do: func(ctx context.Context, r *Round) error {
		if err := r.at(ctx, level.Before); err != nil {
			return err
		}
		return r.roll(ctx, r.Fleet.previous)
	}},
}

// roll restarts all nodes in turn, with another build.
func (r *Round) roll(ctx context.Context, binary string) error {
	return r.inTurn(ctx, func(p *Process) error {
		if err := p.Leave(ctx); err != nil {
			return err
		}
		p.program = program{binary: binary}
		return errors.Join(r.Fleet.Start(ctx, p), r.Fleet.Agree(ctx, r.all()...))
	})
}

// cluster runs a command for operators at the race's node.
func (r *Round) cluster(ctx context.Context, args ...string) (string, error) {
	return r.Fleet.Command(ctx, append(append([]string{"cluster"}, args...), "--listen="+r.Owner.http, "--keys-dir="+r.Fleet.in("keys"))...)
}

// at waits until the cluster is at a feature level and all nodes follow it, serve and say what they do, as far as the
// level lets them.
func (r *Round) at(ctx context.Context, want uint32) error {
	return until(ctx, upWithin, func() error {
		out, err := r.cluster(ctx, "status", "--json")
		if err != nil {
			return err
		}
		var s managev1.GetClusterStatusResponse
		if err := protojson.Unmarshal([]byte(out), &s); err != nil {
			return fmt.Errorf("trial: cluster status: %w: %s", err, out)
		}
		serving := 0
		for _, m := range s.Members {
			if m.Member && m.Serves && m.Follows == want && (m.Says != nil || want < level.NodeStatus) {
				serving++
			}
		}
		if s.Level != want || serving != len(r.all()) {
			return fmt.Errorf("trial: at feature level %d with %d members that follow, want %d with %d: %s", s.Level, serving, want, len(r.all()), out)
		}
		return nil
	})
}

// keepPrevious is BuildPrevious once for a checkout: the binary stays in the folder.
func keepPrevious(ctx context.Context, folder string) (string, error) {
	folder, err := filepath.Abs(folder) // a path to run, whatever the working folder
	if err != nil {
		return "", err
	}
	which, err := Previous(ctx, "")
	if err != nil {
		return "", err
	}
	kept := filepath.Join(folder, which)
	if _, err := os.Stat(kept); err == nil {
		return kept, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	scratch, err := os.MkdirTemp("", "paceline-previous-")
	if err != nil {
		return "", err
	}
	built, err := BuildPrevious(ctx, which, scratch)
	if err == nil {
		err = moveInto(built, kept)
	}
	return kept, errors.Join(err, os.RemoveAll(scratch))
}

// moveInto copies a program, whole or not at all: the folders may lie on different disks.
func moveInto(from, to string) error {
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to+".part", b, 0o755)
	}
	if err == nil {
		err = os.Rename(to+".part", to)
	}
	return err
}
