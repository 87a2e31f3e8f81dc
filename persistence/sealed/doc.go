// Package sealed is a row driver in front of another: cells that belong to a person are encrypted with that
// person's key before they go down, and decrypted on their way up.
//
// What is sealed is what carries a Subject (persistence.Part): journals and snapshots of user, account, device,
// training, inventory and notification; samples and recordings with the key of the person whose workout it is;
// personal columns of views. Heads, cursors, wake-ups and competitions hold ids only and pass through.
//
// Each subject has a random key; it lies in a key table of its own, wrapped (AES-256-GCM) by one key from a
// file outside the data folder. From it three keys are derived: for the cells, for their nonces, for the names
// of rows. A nonce is made of the row's key and the plain bytes (HMAC), so the same write again gives the same
// bytes; the cell is bound to its place, so it cannot be moved to another.
//
// Erase overwrites the subject's key. Everything sealed with it, in this store and in every copy of it, is then
// unreadable: ErrErased. A process keeps keys in a bounded cache; another process may read for as long as its
// cache holds the key, so with several nodes each must be told (Forget).
package sealed
