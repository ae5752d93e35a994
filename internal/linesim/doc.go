// Package linesim is a stateful stand-in for the LINE Platform, for
// development, tests and load runs (LINE forbids those against itself).
//
// One handler serves LINE's API host and data host, its token endpoint, a
// control API below /_control/ and a page of phones at /. What customers do
// (SendText, Send, Postback, Follow, Unfollow, Unsend, Raw) makes signed
// webhook events; what the bot sends (reply, push, multicast) is held against
// LINE's rules and appears in Chat. Faults make calls and deliveries fail the
// ways LINE's do.
//
// Everything LINE promises is in the store before the call is answered:
// accepted messages, spent reply tokens, retry keys, blocks, content, pending
// events. The process may be killed at any instant; New on the same file
// remembers, and delivers what was not. Only the records of calls and
// deliveries, and faults, belong to the process.
//
// README.md lists the control API.
package linesim
