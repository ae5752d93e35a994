// Package routing decides where a conversation goes: what it is about
// (Classify), which queue it waits in (Route) and which agent is offered it
// (Match).
//
// The decisions are pure: facts in, decisions and the reasons for them out. The
// package does no I/O and has no clock; reading the facts and carrying out the
// decisions is the caller's part. Reasons are enumerated words and ids, never
// anything a customer wrote, so they may be logged and kept.
package routing
