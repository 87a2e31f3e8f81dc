// Package obs is what an operator sees: the log, and counters as text for a scraper.
//
// It is not the runtime's metrics (those cost ten times a message and leak) and holds no state of the product. Logs and
// counters carry ids only, never anything about a person.
package obs
