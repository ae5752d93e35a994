// Package searchattr names Kaiwa's search attributes: what people filter
// workflows by in Temporal's UI and commands. They carry ids and enumerations
// only, nothing personal.
//
// SQL visibility stores have 10 columns for keywords and 3 for times in a
// namespace; these take 7 and 1.
package searchattr

import "go.temporal.io/sdk/temporal"

// The typed keys. Each upsert is a history event: only on a change of state.
var (
	// KaiwaChannel is the id of the LINE channel.
	KaiwaChannel = temporal.NewSearchAttributeKeyKeyword("KaiwaChannel")
	// KaiwaStatus is the conversation's status.
	KaiwaStatus = temporal.NewSearchAttributeKeyKeyword("KaiwaStatus")
	// KaiwaOwner is who answers: the bot, an agent, nobody yet.
	KaiwaOwner = temporal.NewSearchAttributeKeyKeyword("KaiwaOwner")
	// KaiwaQueue is the id of the queue it waits in or was taken from.
	KaiwaQueue = temporal.NewSearchAttributeKeyKeyword("KaiwaQueue")
	// KaiwaAgent is the id of the agent who has it.
	KaiwaAgent = temporal.NewSearchAttributeKeyKeyword("KaiwaAgent")
	// KaiwaWorkstream is the id of the workstream.
	KaiwaWorkstream = temporal.NewSearchAttributeKeyKeyword("KaiwaWorkstream")
	// KaiwaConversation is the conversation's id: a chat's workflow id stays
	// the same from one conversation to the next.
	KaiwaConversation = temporal.NewSearchAttributeKeyKeyword("KaiwaConversation")
	// KaiwaWaitingSince is when the customer began to wait; unset while nobody
	// does. Query it by range: SQLite stores compare times as text and find no
	// equal one on a whole second.
	KaiwaWaitingSince = temporal.NewSearchAttributeKeyTime("KaiwaWaitingSince")
)

// Keys are all of them, in the order of their declaration.
func Keys() []temporal.SearchAttributeKey {
	return []temporal.SearchAttributeKey{
		KaiwaChannel, KaiwaStatus, KaiwaOwner, KaiwaQueue, KaiwaAgent, KaiwaWorkstream, KaiwaConversation,
		KaiwaWaitingSince,
	}
}
