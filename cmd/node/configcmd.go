package main

import (
	"encoding/json"
	"fmt"

	"github.com/alecthomas/kong"
)

type configCmd struct {
	Print configPrint `cmd:"" help:"Print the effective configuration, as a file."`
	Check configCheck `cmd:"" help:"Check a configuration file."`
}

type configPrint struct {
	settings
}

// Run prints what run would use, in the form that --config reads.
func (c configPrint) Run(p process, k *kong.Context) error {
	if err := c.validate(); err != nil {
		return err
	}
	all := map[string]any{}
	for _, f := range k.Selected().Flags {
		if f.Name == "help" {
			continue
		}
		switch v := f.Target.Interface().(type) {
		case fmt.Stringer: // durations
			all[f.Name] = v.String()
		default:
			all[f.Name] = v
		}
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, string(b))
	return err
}

type configCheck struct {
	File string `arg:"" help:"The file."`
}

// Run reads the file as run would.
func (c configCheck) Run(p process) error {
	if _, err := openFile(c.File); err != nil {
		return err
	}
	var seen struct {
		ConfigFile kong.ConfigFlag `name:"config"`
		settings
	}
	parser, err := kong.New(&seen, kong.Resolvers(mustFile(c.File)))
	if err != nil {
		return err
	}
	if _, err := parser.Parse(nil); err != nil {
		return err
	}
	if err := seen.validate(); err != nil {
		return fmt.Errorf("configuration %s: %w", c.File, err)
	}
	_, err = fmt.Fprintln(p.out, "right:", c.File)
	return err
}

// mustFile is a file that was read a moment ago.
func mustFile(path string) kong.Resolver {
	f, err := openFile(path)
	if err != nil {
		return &fileResolver{path: path}
	}
	return f
}
