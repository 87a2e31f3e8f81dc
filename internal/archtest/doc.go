// Package archtest holds the house rules that a compiler does not know: who may import whom, which files may
// not know the runtime, how long a file may grow. It is tests only and is not imported by anything.
//
// The arrows are the table in docs/architecture.md, as data (arrows_test.go). Everything works on a partly
// built tree: a package that is not there yet breaks no rule. A folder that has no place in the table does.
package archtest
