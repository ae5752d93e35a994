// Package conversation is the domain of Kaiwa and the contract between its
// parts: what a conversation is, the states it can be in, the one table that
// says how it moves between them, the ids of everything that happens to it,
// and the names and payloads by which workflows, activities and the API talk
// about it.
//
// It is a leaf: it does no I/O, keeps no state and imports nothing of Kaiwa.
package conversation
