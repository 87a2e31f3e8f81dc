package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"paceline/persistence"
)

// cli is the command line. A setting comes from the file, else from the environment, else from a flag: the later
// wins.
type cli struct {
	ConfigFile kong.ConfigFlag `name:"config" help:"Configuration file: one JSON object, its keys the flags' names." env:"PACELINE_CONFIG" placeholder:"FILE"`

	Run     runCmd     `cmd:"" help:"Serve."`
	Token   tokenCmd   `cmd:"" help:"Make an access token."`
	Demo    demoCmd    `cmd:"" help:"A whole race on a node of its own, from registration to the verified result."`
	Export  exportCmd  `cmd:"" help:"Write the bundle of a published result."`
	Verify  verifyCmd  `cmd:"" help:"Compute a bundle's result again and compare."`
	Backup  backupCmd  `cmd:"" help:"Write all that a node on the embedded store holds into one file, while it serves."`
	Restore restoreCmd `cmd:"" help:"Make a data folder of a backup."`
	Config  configCmd  `cmd:"" help:"Show or check the configuration."`

	Cluster clusterCmd `cmd:"" help:"The nodes that serve together, for their operators."`

	Certs certsCmd `cmd:"" help:"Make certificates and a gossip key for nodes of a cluster, for development."`

	Views   viewsCmd   `cmd:"" help:"What lists, rosters and results are read from."`
	Migrate migrateCmd `cmd:"" help:"Bring a CQL keyspace to this binary's tables, while nodes serve on it."`
}

// process is what commands get from the outside.
type process struct {
	ctx context.Context // ends when the process is asked to end
	out io.Writer
	err io.Writer

	before  func(persistence.Rows) persistence.Rows // see settings; nil but in tests
	serving func(*node)                             // gets the node once it serves; nil but in tests
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := execute(process{ctx: ctx, out: os.Stdout, err: os.Stderr}, os.Args[1:])
	if code == exitRestart && ctx.Err() == nil {
		again()
	}
	os.Exit(code)
}

// exitRestart says that a new run of the same process is needed (EX_TEMPFAIL of sysexits.h).
const exitRestart = 75

// again begins a new run in place of this one, under the same process id, so that whoever supervises it need not know.
// If that is not possible the exit code says what is needed.
func again() {
	self, err := os.Executable()
	if err == nil {
		err = syscall.Exec(self, os.Args, os.Environ())
	}
	fmt.Fprintln(os.Stderr, "paceline: cannot begin a new run:", err)
}

// execute runs one command line and returns the exit code. Whatever goes wrong is one sentence.
func execute(p process, args []string) int {
	var c cli
	exit := -1
	parser, err := kong.New(&c, kong.Name("paceline"),
		kong.Description("Live races and workouts: devices stream, the race ranks, everybody watches, the result is provable."),
		kong.Configuration(loadConfig),
		kong.Writers(p.out, p.err), kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(p))
	if err != nil {
		fmt.Fprintln(p.err, "paceline:", err)
		return 1
	}
	k, err := parser.Parse(args)
	if exit >= 0 { // help was asked for
		return exit
	}
	if err == nil {
		err = k.Run(p)
	}
	var misread *kong.ParseError
	switch {
	case errors.As(err, &misread):
		fmt.Fprintf(p.err, "paceline: %v (see %s)\n", err, helpFor(misread))
	case err != nil:
		fmt.Fprintln(p.err, "paceline:", err)
	}
	switch {
	case errors.Is(err, errRestart):
		return exitRestart
	case err != nil:
		return 1
	}
	return 0
}

// helpFor is the command whose help shows what could have been meant: of the part that was understood.
func helpFor(e *kong.ParseError) string {
	words := "paceline"
	if e.Context != nil {
		for _, p := range e.Context.Path {
			if p.Command != nil {
				words += " " + p.Command.Name
			}
		}
	}
	return words + " --help"
}
