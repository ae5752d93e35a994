package outcome

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/reconcile"
	"kaiwa/internal/store"
)

// recorded is the outcome of a real run, in which nothing is wrong; see
// TestWhatARunLeavesBehindIsJudged in e2e, which records it.
func recorded(t *testing.T) *Outcome {
	t.Helper()
	o, err := Load("testdata/healthy.json")
	require.NoError(t, err)
	return o
}

// garden is a recorded outcome in which violations are planted.
type garden struct {
	*Outcome
	t *testing.T
}

// plant is one violation.
type plant struct {
	what  string
	grow  func(g garden)
	finds string // in the detail of a finding
}

// pick is the first row that is meant.
func pick[T any](g garden, rows []T, meant func(T) bool) *T {
	g.t.Helper()
	i := slices.IndexFunc(rows, meant)
	require.GreaterOrEqual(g.t, i, 0, "the recorded outcome has none")
	return &rows[i]
}

// tell adds an event to the record.
func (g garden) tell(kind, conversationID, subjectID string) {
	last := g.Database.Events[len(g.Database.Events)-1]
	seq := *last.Seq + 1
	g.Database.Events = append(g.Database.Events, Event{
		ID: last.ID + 1, Seq: &seq, Type: kind, ConversationID: conversationID, SubjectID: subjectID, Data: "{}", CreatedAt: last.CreatedAt,
	})
}

// retell makes an event of the record another one. With "" it tells nothing
// that any invariant looks at.
func (g garden) retell(kind, subjectID, now string) {
	g.t.Helper()
	e := pick(g, g.Database.Events, func(e Event) bool { return e.Type == kind && e.SubjectID == subjectID })
	if e.Type = now; now == "" {
		e.Type, e.SubjectID, e.ConversationID = "agent.presence_changed", "agt_nobody", ""
	}
}

// inbound is a text that a customer wrote, was delivered once and is in a
// conversation that is closed.
func (g garden) inbound() (*Message, *Webhook) {
	g.t.Helper()
	m := pick(g, g.Database.Messages, func(m Message) bool {
		return m.Direction == conversation.Inbound && m.Type == "text" && m.State == conversation.MessageAccepted && !g.conversation(m.ConversationID).open() &&
			g.webhook(m.WebhookEventID).Attempts == 1
	})
	return m, g.webhook(m.WebhookEventID)
}

func (g garden) webhook(id string) *Webhook {
	return pick(g, g.LINE.Webhooks, func(w Webhook) bool { return w.EventID == id })
}

func (g garden) conversation(id string) *Conversation {
	return pick(g, g.Database.Conversations, func(c Conversation) bool { return c.ID == id })
}

func (g garden) batch(id string) *Batch {
	return pick(g, g.Database.Batches, func(b Batch) bool { return b.ID == id })
}

// inPhase is the open conversation of a phase, with its live run.
func (g garden) inPhase(p conversation.Phase) (*Conversation, *Run) {
	g.t.Helper()
	c := pick(g, g.Database.Conversations, func(c Conversation) bool { return c.phase() == p })
	return c, pick(g, g.Temporal.Runs, func(r Run) bool { return r.alive() && r.WorkflowID == c.workflowID() })
}

// accepted is a text to a customer that LINE accepted by a push or a reply,
// alone in its batch, and the call that brought it.
func (g garden) accepted(via conversation.Via) (*Message, *Call) {
	g.t.Helper()
	m := pick(g, g.Database.Messages, func(m Message) bool {
		return m.State == conversation.MessageAccepted && m.Via == string(via) && m.Type == "text" && len(g.batch(m.BatchID).ids()) == 1
	})
	b := g.batch(m.BatchID)
	return m, pick(g, g.LINE.Calls, func(c Call) bool { return c.Accepted && c.key() == b.key() })
}

func (g garden) hide(requestID string) {
	g.LINE.Phones = slices.DeleteFunc(g.LINE.Phones, func(b Bubble) bool { return b.RequestID == requestID })
}

func (g garden) closedAs(reason conversation.ClosureReason) *Conversation {
	g.t.Helper()
	return pick(g, g.Database.Conversations, func(c Conversation) bool { return c.ClosureReason == reason })
}

// late delays an offer that was accepted. An outage began with the wait, if it
// takes any time.
func (g garden) late(by, outage time.Duration) {
	g.t.Helper()
	o := g.offer(conversation.OfferAccepted)
	e := pick(g, g.Database.Events, func(e Event) bool { return e.Type == "offer.created" && e.SubjectID == o.ID })
	if outage > 0 {
		g.Deeds.Outages = []Outage{{"worker-1", e.CreatedAt - 1_000_000, e.CreatedAt + outage.Microseconds()}}
	}
	e.CreatedAt += by.Microseconds()
}

func (g garden) offer(state conversation.OfferState) *Offer {
	g.t.Helper()
	return pick(g, g.Database.Offers, func(o Offer) bool { return o.State == state })
}

// planted are violations of each invariant, by its name. Each breaks that one
// and no other.
var planted = map[string][]plant{
	"acknowledged-is-kept": {
		{"an event that was never stored", func(g garden) {
			_, w := g.inbound()
			lost := *w
			lost.EventID = "lost"
			g.LINE.Webhooks = append(g.LINE.Webhooks, lost)
		}, "is not in the inbox"},
		{"an event that was never taken in", func(g garden) {
			_, w := g.inbound()
			pick(g, g.Database.LINEEvents, func(e LINEEvent) bool { return e.WebhookEventID == w.EventID }).HandledAt = nil
			// It is looked for in the inbox as well, by another invariant.
		}, "never taken in"},
		{"an event without its message", func(g garden) {
			m, _ := g.inbound()
			g.retell("message.received", m.ID, "")
			g.Database.Messages = slices.DeleteFunc(g.Database.Messages, func(other Message) bool { return other.ID == m.ID })
		}, "has no message"},
		{"a message in two conversations", func(g garden) {
			m, _ := g.inbound()
			twice := *m
			twice.ID, twice.ConversationID = "msg_twice", g.closedAs(conversation.ReasonCancelled).ID
			g.Database.Messages = append(g.Database.Messages, twice)
			g.tell("message.received", twice.ConversationID, twice.ID)
		}, "made 2 messages"},
		{"a message in the conversation of somebody else", func(g garden) {
			m, _ := g.inbound()
			m.ConversationID = g.closedAs(conversation.ReasonCancelled).ID
			pick(g, g.Database.LINEEvents, func(e LINEEvent) bool { return e.WebhookEventID == m.WebhookEventID }).HandledBy = m.ConversationID
		}, "of another chat"},
		{"a block that is noted twice", func(g garden) {
			e := pick(g, g.Database.Events, func(e Event) bool { return e.Type == "customer.blocked" })
			g.tell(e.Type, e.ConversationID, e.SubjectID)
		}, "times too often"},
	},
	"redelivered-makes-nothing": {
		{"an event that made two messages", func(g garden) {
			m, w := g.inbound()
			w.Attempts, w.Answers = 2, []int{500, 0}
			twice := *m
			twice.ID = "msg_twice"
			g.Database.Messages = append(g.Database.Messages, twice)
			g.tell("message.received", twice.ConversationID, twice.ID)
		}, "made 2 messages"},
		{"an event that is stored twice", func(g garden) {
			_, w := g.inbound()
			w.Attempts, w.Answers = 2, []int{500, 0}
			twice := *pick(g, g.Database.LINEEvents, func(e LINEEvent) bool { return e.WebhookEventID == w.EventID })
			twice.ID = 1 << 40
			g.Database.LINEEvents = append(g.Database.LINEEvents, twice)
		}, "in the inbox 2 times"},
	},
	"transcript-as-written": {
		{"other words", func(g garden) {
			m, _ := g.inbound()
			m.Text += "!"
		}, "and the customer wrote"},
		{"another time", func(g garden) {
			m, _ := g.inbound()
			m.OccurredAt++
		}, "LINE's event"},
		{"a message that nobody wrote", func(g garden) {
			m, _ := g.inbound()
			made := *m
			made.ID, made.WebhookEventID, made.LINEMessageID = "msg_made_up", "made up", ""
			g.Database.Messages = append(g.Database.Messages, made)
			g.tell("message.received", made.ConversationID, made.ID)
		}, "no event of LINE explains it"},
		{"what was taken back can be read", func(g garden) {
			pick(g, g.Database.Messages, func(m Message) bool { return m.State == conversation.MessageRecalled }).Text = "secret"
		}, "still to be read"},
	},
	"inbox-empty": {
		{"an event that waits", func(g garden) {
			e := g.Database.LINEEvents[0]
			e.ID, e.WebhookEventID, e.HandledAt = 1<<40, "waits", nil
			g.Database.LINEEvents = append(g.Database.LINEEvents, e)
		}, "waits in the inbox"},
	},
	"files-fetched": {
		{"a file that could not be had", func(g garden) {
			a := pick(g, g.Database.Attachments, func(a Attachment) bool { return a.Direction == "inbound" })
			a.State, a.Reason = string(conversation.AttachmentFailed), "too_late"
		}, "too_late"},
		{"a file that is being fetched", func(g garden) {
			pick(g, g.Database.Attachments, func(a Attachment) bool { return a.Direction == "inbound" }).State = string(conversation.AttachmentPending)
		}, "still being fetched"},
	},
	"accepted-once": {
		{"LINE never accepted it", func(g garden) {
			_, c := g.accepted(conversation.ViaReply)
			c.Accepted, c.MessageIDs, c.Status = false, nil, 500
			g.hide(c.RequestID)
		}, "LINE accepted no call of its batch"},
		{"LINE accepted it twice", func(g garden) {
			_, c := g.accepted(conversation.ViaPush)
			again := *c
			again.RequestID = "again"
			g.LINE.Calls = append(g.LINE.Calls, again)
		}, "2 times"},
		{"it is not on the phone", func(g garden) {
			_, c := g.accepted(conversation.ViaReply)
			g.hide(c.RequestID)
		}, "the phone shows 0"},
		{"its call said something else", func(g garden) {
			m, _ := g.accepted(conversation.ViaReply)
			m.Text += "!"
		}, "said something else"},
		{"it was in no batch", func(g garden) {
			m, _ := g.accepted(conversation.ViaPush)
			m.BatchID = ""
		}, "never in a batch"},
	},
	"failed-not-sent": {
		{"LINE took it after all", func(g garden) {
			m := pick(g, g.Database.Messages, func(m Message) bool { return m.State == conversation.MessageFailed })
			b := g.batch(m.BatchID)
			pick(g, g.LINE.Calls, func(c Call) bool { return c.key() == b.key() && same(c.Messages, []byte(b.Body)) }).Accepted = true
		}, "LINE accepted it by call"},
		{"its batch did not fail", func(g garden) {
			m := pick(g, g.Database.Messages, func(m Message) bool { return m.State == conversation.MessageFailed })
			g.batch(m.BatchID).State = store.BatchAccepted
		}, "is accepted"},
	},
	"none-uncertain": {
		{"nobody knows", func(g garden) {
			m, _ := g.accepted(conversation.ViaPush)
			m.State = conversation.MessageUncertain
			b := g.batch(m.BatchID)
			b.State, b.Doubt = store.BatchUncertain, true
			g.retell("message.accepted", m.ID, "message.uncertain")
		}, "is uncertain"},
	},
	"sent-in-order": {
		{"two messages change places", func(g garden) {
			f := gather(g.Outcome)
			for _, id := range slices.Sorted(maps.Keys(f.transcripts)) {
				said := slices.DeleteFunc(slices.Clone(f.transcripts[id]), func(m *Message) bool { return m.Direction != conversation.Outbound })
				if len(said) > 1 && said[0].State == conversation.MessageAccepted && said[1].State == conversation.MessageAccepted {
					said[0].OccurredAt, said[1].OccurredAt = said[1].OccurredAt, said[0].OccurredAt
					return
				}
			}
			require.Fail(g.t, "no conversation said two things")
		}, "reached the phone before it"},
	},
	"phones-explained": {
		{"a call that no batch explains", func(g garden) {
			_, c := g.accepted(conversation.ViaPush)
			stray := *c
			stray.RequestID, stray.RetryKey = "stray", "7d444840-9dc0-11d1-b245-5ffdce74fad2"
			g.LINE.Calls = append(g.LINE.Calls, stray)
		}, "no batch explains"},
		{"a bubble that no call brought", func(g garden) {
			b := *pick(g, g.LINE.Phones, func(b Bubble) bool { return !b.Customer })
			b.ID, b.RequestID = "1", "nobody"
			g.LINE.Phones = append(g.LINE.Phones, b)
		}, "LINE did not accept"},
		{"a retry that said something else", func(g garden) {
			pick(g, g.LINE.Calls, func(c Call) bool { return c.AcceptedBy != "" }).OtherBody = true
		}, "said something else"},
	},
	"nothing-pending": {
		{"a message that waits", func(g garden) {
			m, _ := g.accepted(conversation.ViaReply)
			waits := *m
			waits.ID, waits.State, waits.BatchID, waits.SenderKind = "msg_waits", conversation.MessagePending, "", conversation.SenderSystem
			g.Database.Messages = append(g.Database.Messages, waits)
			g.tell("message.created", waits.ConversationID, waits.ID)
		}, "waits to be sent"},
		{"a batch on its way", func(g garden) {
			b := g.Database.Batches[0]
			b.ID, b.State, b.Kind = "bat_on_its_way", store.BatchFrozen, "push"
			g.Database.Batches = append(g.Database.Batches, b)
		}, "on its way to LINE"},
	},
	"surveyed-once": {
		{"nobody was asked", func(g garden) {
			g.Database.Invitations = slices.DeleteFunc(g.Database.Invitations, func(i Invitation) bool { return i.State == "answered" })
		}, "has no invitation"},
		{"asked twice", func(g garden) {
			again := *pick(g, g.Database.Invitations, func(i Invitation) bool { return i.State == "answered" })
			again.ID = "inv_again"
			g.Database.Invitations = append(g.Database.Invitations, again)
			g.tell("survey.invited", again.ConversationID, again.ID)
			g.tell("survey.completed", again.ConversationID, again.ID)
		}, "has 2 invitations"},
		{"asked after a cancellation", func(g garden) {
			wrong := *pick(g, g.Database.Invitations, func(i Invitation) bool { return i.State == "answered" })
			wrong.ID, wrong.ConversationID = "inv_wrong", g.closedAs(conversation.ReasonCancelled).ID
			g.Database.Invitations = append(g.Database.Invitations, wrong)
			g.tell("survey.invited", wrong.ConversationID, wrong.ID)
			g.tell("survey.completed", wrong.ConversationID, wrong.ID)
		}, "closed as cancelled"},
	},
	"offers-end-once": {
		{"accepted and timed out", func(g garden) {
			o := g.offer(conversation.OfferAccepted)
			g.tell("offer.timed_out", o.ConversationID, o.ID)
		}, "say timed_out"},
		{"ended in another way than was said", func(g garden) {
			g.retell("offer.declined", g.offer(conversation.OfferDeclined).ID, "offer.timed_out")
		}, "0 events that say declined"},
		{"accepted, and another agent has it", func(g garden) {
			o := g.offer(conversation.OfferAccepted)
			pick(g, g.Database.Sessions, func(s Session) bool { return s.ConversationID == o.ConversationID && s.Epoch == o.Epoch+1 }).ParticipantID = "agt_other"
		}, "did not get conversation"},
	},
	"live-offers-wait": {
		{"on offer from another time", func(g garden) { g.offer(conversation.OfferLive).Epoch++ }, "does not wait there"},
		{"on offer past its time", func(g garden) { g.offer(conversation.OfferLive).ExpiresAt = g.At - 2*grace }, "its time was over"},
		{"on offer to two", func(g garden) {
			o := *g.offer(conversation.OfferLive)
			o.ID, o.AgentID = "ofr_second", "agt_second"
			g.Database.Offers = append(g.Database.Offers, o)
			g.tell("offer.created", o.ConversationID, o.ID)
		}, "to 2 agents at once"},
	},
	"offered-in-time": {
		{"an offer that came late", func(g garden) { g.late(6*time.Second, 0) }, "could have had it"},
		{"an offer that came late after an outage", func(g garden) { g.late(18*time.Second, time.Second) }, "could have had it"},
		{"somebody who waits beside an agent who is free", func(g garden) {
			g.At = max(g.At, g.Database.Events[len(g.Database.Events)-1].CreatedAt+6_000_000)
			for i := range g.Database.Agents {
				g.Database.Agents[i].Capacity++
			}
		}, "could have had it"},
	},
	"capacity-kept": {
		{"one offer too many", func(g garden) {
			o := g.offer(conversation.OfferLive)
			pick(g, g.Database.Agents, func(a Agent) bool { return a.ID == o.AgentID }).Capacity = 2
		}, "to 3 units, and their capacity is 2"},
	},
	"bot-in-turn": {
		{"a turn after the bot had left", func(g garden) {
			o := g.offer(conversation.OfferAccepted)
			pick(g, g.Database.Turns, func(t Turn) bool { return t.ConversationID == o.ConversationID && t.Epoch == 1 }).CreatedAt = o.EndedAt
		}, "had left the bot"},
		{"a turn in an agent's time", func(g garden) {
			o := g.offer(conversation.OfferAccepted)
			pick(g, g.Database.Turns, func(t Turn) bool { return t.ConversationID == o.ConversationID }).Epoch = o.Epoch + 1
		}, "in which no bot had it"},
		{"a bot that speaks in an agent's time", func(g garden) {
			pick(g, g.Database.Messages, func(m Message) bool {
				return m.SenderKind == conversation.SenderAgent && m.Direction == conversation.Outbound
			}).SenderKind = conversation.SenderBot
		}, "when that was with agent"},
	},
	"nobody-stuck": {
		{"a deadline that is over", func(g garden) {
			_, run := g.inPhase(conversation.PhaseWaiting)
			run.Holds.DeadlineMS = (g.At - 2*grace) / 1000
		}, "should have gone on"},
		{"no deadline at all", func(g garden) {
			_, run := g.inPhase(conversation.PhaseWaiting)
			run.Holds.DeadlineMS = 0
		}, "for ever"},
		{"a bot that is not asked", func(g garden) {
			c, _ := g.inPhase(conversation.PhaseBot)
			c.BotPosition = 0
		}, "owes an answer"},
		{"a queue that nobody decides", func(g garden) {
			c, _ := g.inPhase(conversation.PhaseQueued)
			c.RoutedAt = 0
		}, "nothing decides its queue"},
		{"a queue without a dispatcher", func(g garden) {
			pick(g, g.Temporal.Runs, func(r Run) bool { return r.alive() && r.Type == conversation.WorkflowDispatcher }).Status = "Completed"
		}, "no dispatcher runs"},
		{"an activity that never ends", func(g garden) {
			_, run := g.inPhase(conversation.PhaseServed)
			run.Pending = []Activity{{Type: "Send", Attempt: 7, Failure: "no answer"}}
		}, "Send under way, attempt 7"},
		{"a task that nobody does", func(g garden) {
			_, run := g.inPhase(conversation.PhaseServed)
			run.Task = true
		}, "a task that nobody does"},
		{"a workflow that does not answer", func(g garden) {
			_, run := g.inPhase(conversation.PhaseServed)
			run.Holds, run.Mute = nil, "no worker"
		}, "no worker"},
		{"a survey that does not expire", func(g garden) {
			pick(g, g.Database.Invitations, func(i Invitation) bool { return i.State == "open" }).ExpiresAt = g.At - 2*grace
		}, "expired at"},
	},
	"runs-match": {
		{"an open conversation that nobody runs", func(g garden) {
			_, run := g.inPhase(conversation.PhaseWaiting)
			run.Status = "Completed"
		}, "is open, and"},
		{"an open survey that nobody runs", func(g garden) {
			pick(g, g.Temporal.Runs, func(r Run) bool { return r.alive() && r.Type == conversation.WorkflowSurvey }).Status = "Completed"
		}, "is open, and survey/"},
		{"a run without a conversation", func(g garden) {
			_, run := g.inPhase(conversation.PhaseWaiting)
			stray := *run
			stray.WorkflowID = conversation.WorkflowID("chn_nobody", "nobody")
			g.Temporal.Runs = append(g.Temporal.Runs, stray)
		}, "without anything open"},
		{"two runs of one conversation", func(g garden) {
			_, run := g.inPhase(conversation.PhaseWaiting)
			second := *run
			second.RunID = "second"
			g.Temporal.Runs = append(g.Temporal.Runs, second)
		}, "2 times at once"},
	},
	"runs-end-well": {
		{"a run that failed", func(g garden) {
			pick(g, g.Temporal.Runs, func(r Run) bool { return r.Status == "Completed" }).Status = "Failed"
		}, "is Failed"},
		{"a run that somebody else terminated", func(g garden) {
			pick(g, g.Temporal.Runs, func(r Run) bool { return r.Status == "Completed" }).Status = "Terminated"
		}, "is Terminated"},
	},
	"timeline-lawful": {
		{"a step that the life table has not", func(g garden) {
			c := g.closedAs(conversation.ReasonBotEnded)
			pick(g, g.Database.Transitions, func(t Transition) bool { return t.ConversationID == c.ID && t.Event == conversation.EventBotEnded }).FromOwner = conversation.OwnerAgent
		}, "in no row of the life table"},
		{"another end than the timeline's", func(g garden) {
			g.closedAs(conversation.ReasonBotEnded).ClosureReason = conversation.ReasonBotIdle
		}, "its timeline says"},
		{"an engagement that never ended", func(g garden) {
			c := g.closedAs(conversation.ReasonBotEnded)
			pick(g, g.Database.Sessions, func(s Session) bool { return s.ConversationID == c.ID }).EndedAt = 0
		}, "sessions under way"},
		{"an engagement that no step began", func(g garden) {
			c := g.closedAs(conversation.ReasonBotEnded)
			g.Database.Sessions = append(g.Database.Sessions, Session{ID: "ssn_extra", ConversationID: c.ID, Epoch: 7, EndedAt: 1})
		}, "begun by no step"},
	},
	"record-once": {
		{"an accepted message that nobody heard of", func(g garden) {
			m, _ := g.accepted(conversation.ViaReply)
			g.retell("message.accepted", m.ID, "")
		}, "0 events message.accepted"},
		{"a message that was created twice", func(g garden) {
			m := pick(g, g.Database.Messages, func(m Message) bool { return m.SenderKind == conversation.SenderSystem })
			g.tell("message.created", m.ConversationID, m.ID)
		}, "2 events message.created"},
		{"an event of no message", func(g garden) { g.tell("message.failed", "", "msg_none") }, "no such message"},
		{"a step that nobody heard of", func(g garden) {
			g.retell("conversation.closed", g.closedAs(conversation.ReasonBotEnded).ID, "")
		}, "events of them"},
		{"a step that is told otherwise", func(g garden) {
			c := g.closedAs(conversation.ReasonBotEnded)
			e := pick(g, g.Database.Events, func(e Event) bool { return e.SubjectID == c.ID && e.Type == "conversation.closed" })
			e.Data = `{"event":"bot_idle","status":"closed","owner":"none"}`
		}, "bot_idle"},
		{"a turn that failed in silence", func(g garden) { g.Database.Turns[0].Outcome = store.TurnFailed }, "this turn was failed"},
		{"a survey without its end", func(g garden) {
			g.retell("survey.completed", pick(g, g.Database.Invitations, func(i Invitation) bool { return i.State == "answered" }).ID, "")
		}, "say answered"},
	},
	"record-gapless": {
		{"a number twice", func(g garden) { g.Database.Events[1].Seq = g.Database.Events[0].Seq }, "both have the number"},
		{"a gap", func(g garden) { *g.Database.Events[len(g.Database.Events)-1].Seq++ }, "follows"},
		{"no number", func(g garden) { g.Database.Events[len(g.Database.Events)-1].Seq = nil }, "has no number"},
	},
	"workflow-agrees": {
		{"another epoch", func(g garden) {
			_, run := g.inPhase(conversation.PhaseServed)
			run.Holds.Epoch--
		}, "in epoch"},
		{"another owner", func(g garden) {
			_, run := g.inPhase(conversation.PhaseServed)
			run.Holds.Owner = conversation.OwnerBot
		}, "active/bot"},
		{"another agent", func(g garden) {
			_, run := g.inPhase(conversation.PhaseServed)
			run.Holds.AgentID = "agt_other"
		}, "agt_other"},
		{"another conversation", func(g garden) {
			_, run := g.inPhase(conversation.PhaseServed)
			run.Holds.ConversationID = "cnv_other"
		}, "cnv_other"},
		{"a message that it has not seen", func(g garden) {
			_, run := g.inPhase(conversation.PhaseServed)
			run.Holds.Seen = 0
		}, "has seen up to 0"},
	},
	"reconciler-agrees": {
		{"a conversation without run", func(g garden) {
			g.Reconciler.WithoutRun = reconcile.Finding{Count: 1, IDs: []string{"cnv_1"}}
		}, "finds no run"},
		{"a run without conversation", func(g garden) {
			g.Reconciler.WithoutRow = reconcile.Finding{Count: 1, IDs: []string{"line/1/2"}}
		}, "no open conversation"},
		{"a goodbye that nobody says", func(g garden) {
			g.Reconciler.Unsaid = reconcile.Finding{Count: 1, IDs: []string{"cnv_1"}}
		}, "messages unsent"},
		{"a dispatcher that is missed", func(g garden) { g.Reconciler.NoDispatcher = true }, "none runs"},
		{"events that wait", func(g garden) { g.Reconciler.Unhandled = 3 }, "3 events"},
	},
	"operated-as-documented": {
		{"cancelled, and open", func(g garden) {
			c, run := g.inPhase(conversation.PhaseWaiting)
			g.Deeds.Operations = append(g.Deeds.Operations, Operation{Cancelled, c.ID, run.WorkflowID, run.RunID, g.At})
		}, "was cancelled, and is waiting"},
		{"terminated, and alive", func(g garden) {
			c, run := g.inPhase(conversation.PhaseWaiting)
			g.Deeds.Operations = append(g.Deeds.Operations, Operation{Terminated, c.ID, run.WorkflowID, run.RunID, g.At})
		}, "goes on"},
		{"reset, and nothing went on", func(g garden) {
			o := pick(g, g.Deeds.Operations, func(o Operation) bool { return o.Verb == Reset })
			o.At = g.At + grace
		}, "no run of"},
		{"a run that never was", func(g garden) { g.Deeds.Operations[0].RunID = "none" }, "has no run none"},
	},
}

// overlaps are plants that two invariants rightly find.
var overlaps = map[string]string{
	"an event that was never taken in": "inbox-empty",
	"a run that never was":             "runs-end-well",
}

func TestAHealthyOutcomeBreaksNothing(t *testing.T) {
	t.Parallel()
	require.Empty(t, Check(recorded(t)))
	for _, v := range Judge(recorded(t)) {
		require.NotZero(t, v.Checked, "%s has nothing to look at", v.Invariant.Name)
		require.NotEmpty(t, v.Invariant.Promise)
	}
}

func TestEachInvariantFindsWhatBreaksItAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, inv := range Invariants {
		require.NotEmpty(t, planted[inv.Name], "no violation of %s is planted", inv.Name)
		for _, p := range planted[inv.Name] {
			t.Run(inv.Name+"/"+p.what, func(t *testing.T) {
				t.Parallel()
				g := garden{recorded(t), t}
				p.grow(g)
				findings := Check(g.Outcome)
				require.True(t, slices.ContainsFunc(findings, func(f Finding) bool {
					return f.Invariant == inv.Name && f.Subject != "" && strings.Contains(f.Detail, p.finds)
				}), "%q is not found in %+v", p.finds, findings)
				for _, f := range findings {
					require.Contains(t, []string{inv.Name, overlaps[p.what]}, f.Invariant, "%+v", f)
				}
			})
		}
	}
	require.Len(t, planted, len(Invariants), "something is planted against what is no invariant")
}

// What a run allows is counted, and no finding.
func TestUncertainMessagesAreAllowedWhereTheRunAllowsThem(t *testing.T) {
	t.Parallel()
	g := garden{recorded(t), t}
	planted["none-uncertain"][0].grow(g)
	g.Deeds.Uncertain = true
	require.Empty(t, Check(g.Outcome))
}

// The agent whom a customer had is offered them again whatever else they hold.
func TestAPreferredAgentMayBeOfferedMoreThanTheirCapacity(t *testing.T) {
	t.Parallel()
	g := garden{recorded(t), t}
	planted["capacity-kept"][0].grow(g)
	for i := range g.Database.RoutingLog {
		l := &g.Database.RoutingLog[i]
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(l.Entry), &line))
		if line["offer_id"] == g.offer(conversation.OfferLive).ID && l.Outcome == "offered" {
			line["why"] = "preferred_agent"
			raw, err := json.Marshal(line)
			require.NoError(t, err)
			l.Entry = string(raw)
		}
	}
	require.Empty(t, Check(g.Outcome))
}

// After a process died an offer may come as late as the dispatcher looks.
func TestAnOfferMayComeLaterAfterAnOutage(t *testing.T) {
	t.Parallel()
	g := garden{recorded(t), t}
	g.late(11*time.Second, time.Second)
	require.Empty(t, Check(g.Outcome))
}

// Who blocks the account sees nothing of what LINE accepts for them.
func TestWhoBlocksTheAccountSeesNothing(t *testing.T) {
	t.Parallel()
	g := garden{recorded(t), t}
	_, c := g.accepted(conversation.ViaReply)
	g.hide(c.RequestID)
	require.NotEmpty(t, Check(g.Outcome))
	g.LINE.Blocked = append(g.LINE.Blocked, c.Chat)
	require.Empty(t, Check(g.Outcome))
}
