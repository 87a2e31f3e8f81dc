package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/cluster/level"
	"paceline/persistence"
)

// memberName is a member for a person.
func memberName(m *managev1.ClusterMember) string { return cmp.Or(m.Public, m.Address, m.Id) }

// memberState is one or two words for what a member is just now.
func memberState(s *managev1.GetClusterStatusResponse, m *managev1.ClusterMember) string {
	unready := m.Unready
	if m.Says != nil {
		unready = m.Says.Unready
	}
	dead := m.RowAgeMs < 0 || m.RowAgeMs > aliveWithin.Milliseconds()
	switch {
	case m.CutOff:
		return "cut off"
	case !m.Seen && dead:
		return "gone"
	case !m.Seen:
		return "not seen"
	case !m.Member:
		return "joins"
	case m.Says == nil && s.Level >= level.NodeStatus:
		return "silent"
	case unready != "":
		return unready
	}
	return "serves"
}

// span is a time for a person: two figures are enough.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "-"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return strings.TrimSuffix(d.Round(time.Second).String(), "m0s") + map[bool]string{true: "m"}[d.Round(time.Second)%time.Minute == 0]
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

func spanMs(ms int64) string { return span(time.Duration(ms) * time.Millisecond) }

// printStatus is the cluster for a person: a line for each node, then what deserves attention.
func printStatus(out io.Writer, s *managev1.GetClusterStatusResponse, now time.Time) error {
	var b strings.Builder
	fmt.Fprintf(&b, "cluster %s on %s, feature level %d, members unchanged for %s\n\n", s.Cluster, s.Store, s.Level, spanMs(s.TopologyAgeMs))
	kinds := kindsOf(s)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "NODE\tSTATE\tUP\tLEVEL\tCLIENTS\t%s\tSHARDS\tWAKE-UPS\tOUTBOX\n", strings.ToUpper(strings.Join(kinds, "\t")))
	sums := make([]uint64, 3+len(kinds)) // clients, grains of each kind, shards, wake-ups
	answers := 0
	for _, m := range s.Members {
		up := "-"
		if m.Seen {
			up = span(now.Sub(time.UnixMilli(m.StartedMs)))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s", memberName(m), memberState(s, m), up, levelText(m))
		for i, v := range figures(m.Says, kinds) {
			if m.Says == nil {
				fmt.Fprint(t, "\t?")
				continue
			}
			sums[i] += v
			fmt.Fprintf(t, "\t%d", v)
		}
		if m.Says != nil {
			answers++
		}
		fmt.Fprintf(t, "\t%s\n", outboxText(m.Says))
	}
	if len(s.Members) > 1 {
		fmt.Fprint(t, "\t\t\ttotal")
		for _, v := range sums {
			fmt.Fprintf(t, "\t%d", v)
		}
		fmt.Fprintln(t, "\t")
	}
	_ = t.Flush()
	if o := s.Owner; o != nil {
		fmt.Fprintf(&b, "\n%s\n", ownerText(o))
	}
	fmt.Fprintln(&b)
	t = tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NODE\tRUN\tNODES' PORT\tGOSSIP\tSTARTED\tROW RENEWED")
	for _, m := range s.Members {
		renewed := "-"
		if m.RowAgeMs >= 0 {
			renewed = spanMs(m.RowAgeMs) + " ago"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", memberName(m), m.Id, m.Address, cmp.Or(m.Gossip, "-"),
			time.UnixMilli(m.StartedMs).UTC().Format(time.RFC3339), renewed)
	}
	_ = t.Flush()
	if notes := notesOf(s, sums[1+len(kinds)], answers); len(notes) > 0 {
		fmt.Fprintf(&b, "\n! %s\n", strings.Join(notes, "\n! "))
	}
	_, err := io.WriteString(out, trimmed(b.String()))
	return err
}

// trimmed is the text without the blanks that a table leaves at the ends of lines.
func trimmed(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func kindsOf(s *managev1.GetClusterStatusResponse) []string {
	kinds := []string{"competition", "device", "training", "user"}
	for _, m := range s.Members {
		for _, g := range m.GetSays().GetGrains() {
			if !slices.Contains(kinds, g.Kind) {
				kinds = append(kinds, g.Kind)
			}
		}
	}
	return kinds
}

// figures are what a node's line counts.
func figures(says *clusterv1.NodeStatus, kinds []string) []uint64 {
	all := []uint64{says.GetConnections()}
	for _, k := range kinds {
		n := uint64(0)
		for _, g := range says.GetGrains() {
			if g.Kind == k {
				n = g.Active
			}
		}
		all = append(all, n)
	}
	return append(all, uint64(says.GetShards()), says.GetWakeups())
}

// levelText is the level by which a member writes, and up to which it reads if that is more.
func levelText(m *managev1.ClusterMember) string {
	follows := max(m.Follows, m.GetSays().GetFollows())
	switch {
	case follows == 0:
		return fmt.Sprintf("reads %d", m.Reads)
	case follows < m.Reads:
		return fmt.Sprintf("%d, reads %d", follows, m.Reads)
	}
	return strconv.FormatUint(uint64(follows), 10)
}

func outboxText(says *clusterv1.NodeStatus) string {
	switch {
	case says == nil:
		return "?"
	case says.Unpublished == 0:
		return "empty"
	}
	return fmt.Sprintf("%d grains, %s", says.Unpublished, spanMs(says.OutboxLagMs))
}

func ownerText(o *managev1.GrainOwner) string {
	if o.Member == "" {
		return o.Grain + " lives nowhere: nobody serves"
	}
	how := "it does not say whether it is active"
	switch {
	case o.Known && o.Active:
		how = "active"
	case o.Known:
		how = "not in memory: it is read when it is needed"
	}
	return fmt.Sprintf("%s lives on %s (%s)", o.Grain, cmp.Or(o.Public, o.Address, o.Member), how)
}

// notesOf is what an operator should know.
func notesOf(s *managev1.GetClusterStatusResponse, shards uint64, answers int) []string {
	var notes []string
	serving := 0
	for _, m := range s.Members {
		name := memberName(m)
		if m.Member {
			serving++
		}
		switch state := memberState(s, m); {
		case state == "gone":
			notes = append(notes, fmt.Sprintf("%s is gone: not seen by gossip, and its row stands still (it is forgotten after 10 minutes)", name))
		case m.Says == nil && m.Member && s.Level < level.NodeStatus: // said once, below
		case m.Says == nil && m.Silent != "":
			notes = append(notes, name+": "+strings.TrimSuffix(m.Silent, "."))
		case m.GetSays().GetReason() != "":
			notes = append(notes, name+": "+strings.TrimSuffix(m.Says.Reason, "."))
		}
		if m.Says != nil && m.Says.Swept && m.Says.OutboxLagMs > time.Minute.Milliseconds() {
			notes = append(notes, fmt.Sprintf("%s: %d grains have events that views and feeds have not taken for %s", name, m.Says.Unpublished, spanMs(m.Says.OutboxLagMs)))
		}
	}
	if answers == serving && shards != persistence.WakeupShards {
		notes = append(notes, fmt.Sprintf("%d of %d wake-up shards are swept: members disagree, or have just changed", shards, persistence.WakeupShards))
	}
	if s.Level < level.NodeStatus && serving > 1 {
		notes = append(notes, fmt.Sprintf("what the other nodes do is asked from feature level %d on", level.NodeStatus))
	}
	if s.Reads > s.Level {
		notes = append(notes, fmt.Sprintf("every member can read feature level %d: paceline cluster raise", s.Reads))
	}
	return notes
}
