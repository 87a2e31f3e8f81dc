//go:build !linux

package trial

import "errors"

// network is what only Linux has.
type network struct{}

type space struct{}

var errNoNetwork = errors.New("network namespaces are Linux's")

func newNetwork(int) (*network, error) { return nil, errNoNetwork }

func (*network) host(int) string       { return "" }
func (*network) cut(int) error         { return errNoNetwork }
func (*network) heal(int) error        { return errNoNetwork }
func (*network) out(int, string) error { return errNoNetwork }
func (*network) in(int, string) error  { return errNoNetwork }
func (*network) space(int) *space      { return nil }
func (*network) close() error          { return nil }
func (*space) enter() error            { return errNoNetwork }
