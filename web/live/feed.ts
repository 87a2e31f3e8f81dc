// A feed as a viewer holds it: every item once, in the order of the race's journal.
import { num, type FeedItem } from "./types";

// append adds items to those that are held, of snapshots and deltas alike: a snapshot of a feed is what came after
// the version that was asked for. What is held already is passed by; the oldest beyond `keep` are let go.
export function append(before: FeedItem[], more: FeedItem[] | undefined, keep: number): FeedItem[] {
  const items = [...before];
  for (const item of more ?? []) {
    if (num(item.version) > num(items[items.length - 1]?.version)) items.push(item);
  }
  return items.slice(-keep);
}
