package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"kaiwa/internal/automessage"
	"kaiwa/internal/consent"
	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
)

// How an answer to the privacy notice was given.
const (
	consentByButton = "button"
	consentByTyping = "typed"
)

// Asked is the version of the notice that a conversation asks consent to,
// which began asking for the version began. While the workstream requires
// consent it is the present one. When it does so no longer, whoever was told
// that nobody reads them until they agree is still asked what they were asked.
func (p Privacy) Asked(began string) string {
	if p.Consent {
		return p.Version
	}
	return began
}

// asks tells whether a conversation of this chat has to begin with the question
// of consent.
func (g *ingest) asks(ctx context.Context) (bool, error) {
	privacy := g.req.Plan.Workstream.Settings.Privacy
	if !privacy.Consent {
		return false, nil
	}
	var given string
	_, err := g.c.get(ctx, &given, `SELECT consent_version FROM social_profiles WHERE channel_id = $1 AND chat_key = $2`, g.req.ChannelID, g.req.ChatKey)
	return given != privacy.Version, err
}

// awaitsConsent locks a conversation, and notes if it awaits consent.
func (g *ingest) awaitsConsent(ctx context.Context, id string) error {
	row, err := g.c.lockConversation(ctx, id)
	if err == nil && row.phase() == conversation.PhaseConsent {
		g.asking = &row
	}
	return err
}

// reply is an answer to the question of consent, as an event gave it.
type reply struct {
	at     int // the event's place
	answer consent.Answer
	via    string
}

// hear looks for the answer to the question of consent among events that a
// conversation has taken, and acts on it. It returns what there is to store:
// everything, or, after a no, what is no message.
//
// What comes before the answer, by LINE's clock, is held; what comes after a
// yes is not. What comes after a no is left for the next conversation, and so
// is an answer that a fresh run meets: only an ingest that names its
// conversation can be run twice and tell twice what became of it.
func (g *ingest) hear(ctx context.Context, events []taken) ([]taken, error) {
	if g.asking == nil {
		return events, nil
	}
	if g.req.Plan == nil {
		return nil, fmt.Errorf("conversation %s cannot be asked for consent without a plan", g.asking.ID)
	}
	unsent, err := g.unsentMessages(events)
	if err != nil {
		return nil, err
	}
	r, err := g.reply(ctx, events, unsent)
	if err != nil {
		return nil, err
	}
	if r.answer != "" && g.req.ConversationID == "" {
		g.left = true
		if events, err = g.leave(ctx, events, r.at); err != nil {
			return nil, err
		}
		r.answer = ""
	}
	switch r.answer {
	case consent.Yes:
		if err := g.agreed(ctx, events[r.at], r); err != nil {
			return nil, err
		}
		events[r.at].item = Item{Kind: ItemFact}
		return events, nil
	case consent.No:
		kept, err := g.leave(ctx, events, r.at+1)
		if err != nil {
			return nil, err
		}
		return g.refused(ctx, kept, events[r.at], r)
	}
	g.res.Ask = slices.ContainsFunc(events, func(e taken) bool {
		return e.item.Kind == ItemMessage && !unsent.has(e.item.Message) || e.item.Kind == ItemConsent
	})
	return events, nil
}

// reply finds the first answer among new events: a button of this conversation
// and this version, or a text that is exactly an answer and was written after
// the question of this version was asked.
func (g *ingest) reply(ctx context.Context, events []taken, unsent *unsends) (reply, error) {
	version := g.req.Plan.Workstream.Settings.Privacy.Asked(g.asking.ConsentVer)
	askedAt, looked := int64(0), false
	for i, e := range events {
		if !e.new {
			continue
		}
		switch e.item.Kind {
		case ItemConsent:
			if t := e.item.Tap; t.Answer != "" && t.ConversationID == g.asking.ID && t.Version == version {
				return reply{i, t.Answer, consentByButton}, nil
			}
		case ItemMessage:
			m := e.item.Message
			answer := consent.Answer("")
			if m.Type == conversation.ContentText && !unsent.has(m) {
				answer = consent.Typed(m.Text)
			}
			if answer == "" {
				continue
			}
			if !looked {
				questions, err := g.c.questions(ctx, g.asking.ID)
				if err != nil {
					return reply{}, err
				}
				if j := slices.IndexFunc(questions, func(q question) bool { return q.asks(version) }); j >= 0 {
					askedAt = questions[j].CreatedAt / 1000 * 1000 // LINE's clock has milliseconds
				}
				looked = true
			}
			if askedAt > 0 && e.LineTime >= askedAt {
				return reply{i, answer, consentByTyping}, nil
			}
		}
	}
	return reply{}, nil
}

// leave gives the new events from a place on back to the inbox, and returns
// the others.
func (g *ingest) leave(ctx context.Context, events []taken, from int) ([]taken, error) {
	kept := slices.Clone(events[:from])
	args := []any{int64(notHandled), DispositionNone}
	for _, e := range events[from:] {
		if e.new {
			args = append(args, e.ID)
		} else {
			kept = append(kept, e)
		}
	}
	if len(args) == 2 {
		return kept, nil
	}
	_, err := g.c.exec(ctx, `UPDATE line_events SET position = $1, disposition = $2, handled_at = NULL, handled_by = ''
		WHERE id IN (`+list1(len(args)-2, 3)+`)`, args...)
	return kept, err
}

// agreed records a yes and moves the conversation on: what was held is there
// for everybody, in the order it was written.
func (g *ingest) agreed(ctx context.Context, e taken, r reply) error {
	version, err := g.record(ctx, e, r)
	if err != nil {
		return err
	}
	if _, err := g.c.exec(ctx, `UPDATE social_profiles SET consent_version = $1, consent_at = $2, updated_at = $3 WHERE id = $4`,
		version, e.LineTime, g.now, profileID(g.req.ChannelID, g.req.ChatKey)); err != nil {
		return err
	}
	event, botID := conversation.EventConsentedQueue, ""
	if g.req.Plan.Bot != nil {
		event, botID = conversation.EventConsentedBot, g.req.Plan.Bot.ID
	}
	return g.move(ctx, event, botID)
}

// refused records a no, closes the conversation and deletes what was held, of
// this ingest too. What it answers is the same however often it is asked: that
// the conversation is closed.
func (g *ingest) refused(ctx context.Context, events []taken, no taken, r reply) ([]taken, error) {
	if _, err := g.record(ctx, no, r); err != nil {
		return nil, err
	}
	if err := g.move(ctx, conversation.EventConsentRefused, ""); err != nil {
		return nil, err
	}
	var kept []taken
	for _, e := range events {
		switch {
		case e.ID == no.ID || !e.new:
		case e.item.Kind == ItemMessage:
			if _, err := g.c.exec(ctx, `UPDATE line_events SET raw = $1 WHERE id = $2`, []byte{}, e.ID); err != nil {
				return nil, err
			}
		default:
			e.Position = 0 // the workflow has seen nothing of a conversation that is closed
			kept = append(kept, e)
		}
	}
	return kept, nil
}

// record keeps an answer, and returns the version it is to. Its event is no
// message.
func (g *ingest) record(ctx context.Context, e taken, r reply) (version string, err error) {
	version = g.req.Plan.Workstream.Settings.Privacy.Asked(g.asking.ConsentVer)
	if _, err := g.c.exec(ctx, `
		INSERT INTO consents (id, profile_id, conversation_id, version, answer, via, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		conversation.DerivedID(conversation.PrefixConsent, g.req.ChannelID, e.WebhookEventID), profileID(g.req.ChannelID, g.req.ChatKey),
		g.asking.ID, version, string(r.answer), r.via, e.LineTime); err != nil {
		return "", err
	}
	_, err = g.c.exec(ctx, `UPDATE line_events SET disposition = $1 WHERE id = $2`, DispositionConsent, e.ID)
	return version, err
}

// move carries out what an answer means.
func (g *ingest) move(ctx context.Context, event conversation.Event, botID string) error {
	row := *g.asking
	t, err := conversation.Next(row.phase(), event, conversation.Facts{BotBarred: row.BotBarred})
	if err != nil {
		return err
	}
	_, err = g.c.carryOut(ctx, row, t, TransitionRequest{
		ID: conversation.DerivedID(conversation.PrefixStep, row.ID, "consent", row.Epoch), Event: event, ParticipantID: botID,
	})
	g.asking = nil
	return err
}

// releaseHeld makes what the customer wrote before the yes visible, and has it
// received now, in the order it was written.
func (c conn) releaseHeld(ctx context.Context, row conversationRow, now int64) error {
	_, err := c.exec(ctx, `
		INSERT INTO events (type, conversation_id, subject_id, data, created_at)
		SELECT 'message.received', conversation_id, id, '{}', $1 FROM messages WHERE conversation_id = $2 AND held
		ORDER BY occurred_at, ordinal, id`, now, row.ID)
	if c.hasRecorded(err) != nil {
		return err
	}
	_, err = c.exec(ctx, `UPDATE messages SET held = FALSE WHERE conversation_id = $1 AND held`, row.ID)
	return err
}

// dropHeld deletes what the customer wrote and never agreed to, together with
// the events it came in and the files.
func (c conn) dropHeld(ctx context.Context, row conversationRow) error {
	if _, err := c.exec(ctx, `UPDATE attachments SET state = $1, reason = $2, file_name = '', updated_at = $3
		WHERE conversation_id = $4 AND message_id IN (SELECT id FROM messages WHERE conversation_id = $4 AND held)`,
		string(conversation.AttachmentRevoked), ReasonNoConsent, micros(c.s.now()), row.ID); err != nil {
		return err
	}
	if _, err := c.exec(ctx, `UPDATE line_events SET raw = $1 WHERE channel_id = $2 AND webhook_event_id IN (
			SELECT webhook_event_id FROM messages WHERE conversation_id = $3 AND held)`, []byte{}, row.ChannelID, row.ID); err != nil {
		return err
	}
	_, err := c.exec(ctx, `DELETE FROM messages WHERE conversation_id = $1 AND held`, row.ID)
	return err
}

// question is a question of consent that was put to a customer.
type question struct {
	CreatedAt int64                     `db:"created_at"`
	State     conversation.MessageState `db:"state"`
	BatchID   string                    `db:"batch_id"`
	Payload   string                    `db:"payload"`
}

// asks tells whether the customer was asked about a version by this question,
// as far as anybody knows.
func (q question) asks(version string) bool {
	var content conversation.Content
	if q.State == conversation.MessageFailed || json.Unmarshal([]byte(q.Payload), &content) != nil {
		return false
	}
	return slices.ContainsFunc(content.QuickReplies, func(r conversation.QuickReply) bool {
		tap, ok := consent.ReadTap(r.Data)
		return ok && tap.Version == version
	})
}

// questions lists the questions of consent of a conversation, oldest first.
func (c conn) questions(ctx context.Context, conversationID string) ([]question, error) {
	var list []question
	err := c.list(ctx, &list, `SELECT created_at, state, batch_id, payload FROM messages
		WHERE conversation_id = $1 AND automated = $2 ORDER BY occurred_at, ordinal, id`, conversationID, string(automessage.ConsentQuestion))
	return list, err
}

// Limits of asking for consent again.
const (
	// askPause is how long after a question the next one may be pushed. One
	// that a free reply carries may follow at any time.
	askPause = time.Minute
	// askSlack is how much longer than the reply window a token must live for
	// a question to count on it.
	askSlack = 5 * time.Second
)

// AskRequest puts the question of consent to a customer.
type AskRequest struct {
	Cause          string // the same cause asks once
	ConversationID string
	Version        string
	Notice         []Draft // goes before the question when this version is asked about for the first time; may be empty
	Question       Draft   // with its buttons
}

// AskConsent stores the question of consent, and the notice before it when the
// customer was not asked about this version yet in this conversation. It stores
// nothing when consent is not awaited any more, when a question is about to be
// sent, and when the next one would have to be pushed within a minute of the
// one before. It returns how many messages wait to be sent.
func (s *Store) AskConsent(ctx context.Context, req AskRequest) (int, error) {
	n := 0
	err := s.tx(ctx, func(c conn) error {
		n = 0
		row, err := c.lockConversation(ctx, req.ConversationID)
		if err != nil || row.phase() != conversation.PhaseConsent {
			return err
		}
		done, err := c.announced(ctx, req.Cause)
		if err != nil {
			return err
		}
		if done {
			n = 1
			return nil
		}
		questions, err := c.questions(ctx, row.ID)
		if err != nil {
			return err
		}
		drafts := []Draft{req.Question}
		if !slices.ContainsFunc(questions, func(q question) bool { return q.asks(req.Version) }) {
			drafts = append(slices.Clone(req.Notice), req.Question)
		} else {
			last := questions[len(questions)-1]
			if last.State == conversation.MessagePending && last.BatchID == "" {
				n = 1
				return nil
			}
			if fromMicros(last.CreatedAt).Add(askPause).After(s.now()) {
				free, err := c.hasToken(ctx, row.ChannelID, row.ChatKey, s.now().Add(askSlack))
				if err != nil || !free {
					return err
				}
			}
		}
		if row.ConsentVer != req.Version {
			if _, err := c.exec(ctx, `UPDATE conversations SET consent_version = $1 WHERE id = $2`, req.Version, row.ID); err != nil {
				return err
			}
		}
		if len(drafts) > 1 {
			if err := c.noticed(ctx, row, req.Version); err != nil {
				return err
			}
		}
		n, err = c.insertOutbound(ctx, row, req.Cause, drafts)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("ask for consent in conversation %s: %w", req.ConversationID, err)
	}
	failpoint.Hit("announce.after_commit")
	return n, nil
}

// noticed notes that the customer was shown a version of the privacy notice.
func (c conn) noticed(ctx context.Context, row conversationRow, version string) error {
	_, err := c.exec(ctx, `UPDATE social_profiles SET notice_version = $1 WHERE id = $2`, version, profileID(row.ChannelID, row.ChatKey))
	return err
}
