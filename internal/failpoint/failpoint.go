// Package failpoint names the instants between two durable steps, so that a
// test can have the process die at exactly one of them. In ordinary builds Hit
// does nothing; built with the tag "failpoint" it obeys KAIWA_FAILPOINT, and
// whoever arms a point while the process runs.
//
// Every name stands in Names, with what has happened by then; the crash matrix
// (docs/durability.md) goes through that list, so a point that is not hit by
// it fails the test.
package failpoint

// Point is one named instant.
type Point struct {
	Name  string
	After string // the last durable step before it
}

// Names lists every failpoint, in the order in which a message passes them.
func Names() []Point {
	return []Point{
		{"webhook.before_insert", "LINE has sent the webhook; nothing is stored"},
		{"webhook.after_insert", "the events are stored; LINE has no answer yet"},
		{"webhook.after_notify", "the wake-up is on its way; LINE has no answer yet"},
		{"signal.before", "LINE has its 200; the workflow knows nothing"},
		{"signal.after", "the workflow is signalled"},
		{"ingest.locked", "the chat's row is locked; nothing is written"},
		{"ingest.before_commit", "the messages are written, not committed"},
		{"ingest.after_commit", "the messages are in the conversation; the workflow does not know"},
		{"profile.before_save", "LINE has told the profile; it is not stored"},
		{"profile.after_save", "the profile is stored; the workflow does not know"},
		{"members.before_save", "LINE has told who somebody in a group is; it is not stored"},
		{"members.after_save", "the name of somebody in a group is stored; the workflow does not know"},
		{"announce.after_commit", "an automated message is stored; the workflow does not know"},
		{"turn.before_answer", "the bot's turn is loaded; the bot was not asked"},
		{"turn.after_answer", "the bot has answered; nothing is stored"},
		{"turn.before_commit", "the bot's messages are written, not committed"},
		{"turn.after_commit", "the bot's messages are stored; the workflow does not know"},
		{"classify.after_answer", "the services that classify have answered; the step has no answer"},
		{"classify.after_commit", "what the services found is stored; the workflow does not know"},
		{"transition.before_commit", "the change of owner is written, not committed"},
		{"transition.after_commit", "ownership has moved; the workflow does not know"},
		{"tend.before_commit", "what the rules of a queue want done about who waits is written, not committed"},
		{"tend.after_commit", "what the rules of a queue want done is stored; the workflow does not know"},
		{"match.before_commit", "an offer, or the wish that a workflow looks, is written, not committed"},
		{"match.after_commit", "the offer, or the wish, is there; nobody was told"},
		{"say.before_commit", "what an agent writes is stored, not committed"},
		{"say.after_commit", "what an agent writes is stored; the workflow does not know, and the agent has no answer"},
		{"media.written", "a file is in the bucket; its row does not know"},
		{"media.kept", "where the bytes of a file are is stored; nobody has looked at them"},
		{"media.before_commit", "what has become of a file is written, not committed"},
		{"media.after_commit", "what has become of a file is stored; the workflow does not know"},
		{"batch.before_commit", "the batch is written, not committed"},
		{"batch.after_commit", "the batch is frozen; LINE was not called"},
		{"send.after_answer", "LINE has accepted; the answer is not stored"},
		{"send.after_commit", "LINE's answer is stored; the workflow does not know"},
		{"menu.after_answer", "LINE shows the customer another rich menu; that is not stored"},
		{"menu.after_commit", "which rich menu LINE shows is stored; the workflow does not know"},
		{"link.before_commit", "how an account link goes on is written, not committed"},
		{"link.after_commit", "how an account link goes on is stored; nobody was answered or told"},
		{"errand.tried", "that something is being said beside a conversation is noted; LINE was not called"},
		{"errand.after_answer", "LINE has answered an errand; nothing of that is stored"},
		{"errand.before_commit", "the end of an errand is written, not committed"},
		{"errand.after_commit", "the end of an errand is stored; the workflow does not know"},
		{"hold.before_commit", "LINE has refused a channel's access token; that it is held is written, not committed"},
		{"hold.after_commit", "the channel is held; whoever was refused does not know"},
		{"wait.before_commit", "that a file waits for an access token is written, not committed"},
		{"wait.after_commit", "that a file waits is stored; the workflow does not know"},
		{"resume.before_commit", "LINE takes an access token again; that chats are wanted for what was due is written, not committed"},
		{"resume.after_commit", "the chats are wanted; nobody has woken their workflows"},
		{"close.locked", "the chat's row is locked for closing; nothing is written"},
		{"close.before_commit", "the close is written, not committed"},
		{"close.after_commit", "the conversation is closed; the workflow does not know"},
		{"invite.before_commit", "the survey's invitation is written, not committed"},
		{"invite.after_commit", "the invitation is stored; the survey's workflow does not run"},
		{"survey.before_commit", "the survey's next words are written, not committed"},
		{"survey.after_commit", "the survey's next words are stored; its workflow does not know"},
	}
}
