package cql

import (
	"github.com/scylladb/gocqlx/v2/qb"

	"paceline/persistence"
)

// statement is CQL with the names of what is bound, in order.
type statement struct {
	cql   string
	names []string
}

func built(cql string, names []string) statement { return statement{cql, names} }

// table is a CQL table and everything that is ever asked of it.
type table struct {
	name string
	// head: it has the static columns, and conditional batches alone write it.
	head bool
	// page is how many rows the server sends at once: enough for what is usually read whole, and not so many
	// that a page of the largest cells fills the memory.
	page int

	// Of a table without a head; each is bound with its timestamp.
	put, deleteRow, deletePart statement
	deleteRange                [2]statement // to the end; to a cluster

	// Of a table with a head: without timestamps, the ballot gives them.
	headFirst, headNext, headOf, headRows, putRow statement

	get, parts, partsAfter statement
	rows                   [2][2][2]statement // [to a cluster][descending][keys only]
}

const (
	colPart     = "part"
	colCluster  = "cluster"
	colCell     = "cell"
	colVersion  = "version"
	colAppendID = "append_id"
	colHome     = "home"
)

// tables by persistence.Table. Stored: the names are those of cql/schema.
var tables = [...]table{
	persistence.TableJournal:   newTable("journal", true, persistence.JournalBucket),
	persistence.TableSnapshot:  newTable("snapshot", false, 8),
	persistence.TableCursor:    newTable("cursor", false, 1000),
	persistence.TableWakeup:    newTable("wakeup", false, 5000),
	persistence.TableLowWater:  newTable("low_water", false, 1000),
	persistence.TableSeries:    newTable("series", false, persistence.SeriesBucket),
	persistence.TableRecording: newTable("recording", false, 8),
	persistence.TableKeys:      newTable("subject_key", true, 100),
	persistence.TableView:      newTable("view_row", false, 500),
	persistence.TableNode:      newTable("node", false, 1000),
	persistence.TableControl:   newTable("control", true, 100),
}

func newTable(name string, head bool, page int) table {
	part, row := qb.Eq(colPart), qb.Eq(colCluster)
	t := table{name: name, head: head, page: page,
		get:        built(qb.Select(name).Columns(colCell).Where(part, row).ToCql()),
		parts:      built(qb.Select(name).Distinct(colPart).LimitNamed("most").ToCql()),
		partsAfter: built(qb.Select(name).Distinct(colPart).Where(qb.Token(colPart).GtOrEq()).LimitNamed("most").ToCql()),
	}
	for to := range 2 {
		for descending := range 2 {
			for keys := range 2 {
				t.rows[to][descending][keys] = built(rowsOf(name, to == 1, descending == 1, keys == 1).ToCql())
			}
		}
	}
	insert := func() *qb.InsertBuilder { return qb.Insert(name).Columns(colPart, colCluster, colCell) }
	if head {
		set := func() *qb.UpdateBuilder { return qb.Update(name).Set(colVersion, colAppendID, colHome).Where(part) }
		t.headFirst = built(set().If(qb.EqLit(colVersion, "null")).ToCql())
		t.headNext = built(set().If(qb.EqNamed(colVersion, "expected")).ToCql())
		t.headOf = built(qb.Select(name).Columns(colVersion, colAppendID, colHome).Where(part).Limit(1).ToCql())
		// Without a condition on the cluster: with one the servers leave out the static columns where no row meets it.
		t.headRows = built(qb.Select(name).Columns(colCluster, colCell, colVersion, colAppendID, colHome).Where(part).LimitNamed("most").ToCql())
		t.putRow = built(insert().ToCql())
		return t
	}
	drop := func(where ...qb.Cmp) statement {
		return built(qb.Delete(name).TimestampNamed("stamp").Where(where...).ToCql())
	}
	t.put = built(insert().TimestampNamed("stamp").ToCql())
	t.deleteRow, t.deletePart = drop(part, row), drop(part)
	t.deleteRange = [2]statement{drop(part, qb.GtOrEq(colCluster)), drop(part, qb.GtOrEq(colCluster), qb.LtNamed(colCluster, "to"))}
	return t
}

func rowsOf(name string, to, descending, keys bool) *qb.SelectBuilder {
	b := qb.Select(name).Columns(colCluster)
	if !keys {
		b.Columns(colCell)
	}
	b.Where(qb.Eq(colPart), qb.GtOrEq(colCluster))
	if to {
		b.Where(qb.LtNamed(colCluster, "to"))
	}
	if descending {
		b.OrderBy(colCluster, qb.DESC)
	}
	return b.LimitNamed("most")
}

func index(is bool) int {
	if is {
		return 1
	}
	return 0
}
