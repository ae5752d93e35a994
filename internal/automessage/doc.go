// Package automessage is what Kaiwa says by itself: when (triggers), in whose
// words (defaults in five languages, overridden per workstream and per
// channel), and with which names and numbers filled in (slugs).
//
// It decides and writes texts only. Sending them, marking them as automated in
// the transcript, and never answering an agent's own message with one is the
// caller's part.
package automessage
