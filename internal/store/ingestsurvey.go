package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/survey"
)

const (
	// typedWindow is how long after a question a typed message may answer it.
	typedWindow = 15 * time.Minute
	// clockSkew is how far LINE's clock may be behind ours.
	clockSkew = time.Minute
)

// SurveyTap is what a button of a survey says.
type SurveyTap struct {
	InvitationID, QuestionID, Value string
}

// openSurveys are the chat's surveys that are open, or whose workflow is
// wanted. A fresh run asks for them once, so that an answer an earlier attempt
// took still wakes its survey; in the steady state of a conversation nobody
// asks.
func (g *ingest) openSurveys(ctx context.Context) ([]invitationRow, error) {
	var rows []invitationRow
	if err := g.c.list(ctx, &rows, `SELECT `+invitationColumns+` FROM survey_invitations
		WHERE channel_id = $1 AND chat_key = $2 AND (state = 'open' OR wanted_at > 0) ORDER BY asked_at DESC, id`, g.req.ChannelID, g.req.ChatKey); err != nil {
		return nil, err
	}
	for _, r := range rows {
		if r.WantedAt > 0 {
			g.wake(r.ConversationID)
		}
	}
	return rows, nil
}

// wake has the workflow of a survey woken, once this is committed.
func (g *ingest) wake(conversationID string) {
	s := conversation.SurveyInput{ConversationID: conversationID, ChannelID: g.req.ChannelID}
	if !slices.Contains(g.res.Surveys, s) {
		g.res.Surveys = append(g.res.Surveys, s)
	}
}

// typedAnswers takes what answers the question that was asked last, when
// nobody holds a conversation with the customer, and returns the other events.
// Once a message is something else, it begins a conversation, and what follows
// it belongs to that.
func (g *ingest) typedAnswers(ctx context.Context, surveys []invitationRow, events []taken) ([]taken, error) {
	last := slices.IndexFunc(surveys, func(r invitationRow) bool {
		return r.State == survey.Open && r.Mode == survey.ModeLINE && r.Asked > 0
	})
	if last < 0 {
		return events, nil
	}
	row := surveys[last]
	at := slices.IndexFunc(events, func(e taken) bool { return e.item.Kind == ItemMessage })
	if at < 0 {
		return events, nil
	}
	for _, e := range events[:at] {
		if e.item.Kind == ItemSurveyTap && e.item.Survey.InvitationID == row.ID {
			return events, nil // the button was quicker
		}
	}
	inv, err := g.c.lockInvitation(ctx, `id = $1`, row.ID)
	if err != nil {
		return nil, err
	}
	message := events[at].item.Message
	unsent, err := g.unsentMessages(events)
	if err != nil {
		return nil, err
	}
	if inv.State != survey.Open || len(inv.Answers) >= inv.Asked || message.Type != conversation.ContentText ||
		!g.intime(inv, events[at]) || slices.Contains(unsent.ids, message.LINEMessageID) {
		return events, nil
	}
	q := inv.Questions[inv.Asked-1]
	value, ok := q.Typed(inv.Locale, message.Text)
	if !ok {
		return events, nil
	}
	score, _ := q.Accepts(value)
	if _, err := g.c.answer(ctx, inv, q, givenAnswer{
		Value: value, Score: score, Via: survey.ViaTyped, LINEMessageID: message.LINEMessageID, At: g.now,
	}); err != nil {
		return nil, err
	}
	// The event's words are in the answer, so that taking that back is all there
	// is to do.
	if _, err := g.c.exec(ctx, `UPDATE line_events SET position = $1, handled_at = $2, disposition = $3, raw = $4 WHERE id = $5`,
		g.chat.Tick, g.now, DispositionSurvey, []byte{}, events[at].ID); err != nil {
		return nil, err
	}
	g.wake(inv.ConversationID)
	return slices.Delete(slices.Clone(events), at, at+1), g.c.wantSurvey(ctx, inv.ID, g.now)
}

// intime tells whether a message was written, and came, after the last question
// of a survey, and not too long after it.
func (g *ingest) intime(inv Invitation, e taken) bool {
	asked, written := micros(inv.AskedAt), e.LineTime
	return e.ReceivedAt >= asked && written >= asked-clockSkew.Microseconds() &&
		written <= asked+typedWindow.Microseconds() && written <= micros(inv.ExpiresAt)
}

// taps keeps what buttons of surveys said, whichever conversation is held
// meanwhile, and ends the surveys of a customer who blocks the account. It
// costs nothing where there is nothing of the kind.
func (g *ingest) taps(ctx context.Context, events []taken) error {
	var pressed []taken
	var ids []string
	blocks, news := false, false
	for _, e := range events {
		switch e.item.Kind {
		case ItemSurveyTap:
			pressed, ids = append(pressed, e), append(ids, e.item.Survey.InvitationID)
		case ItemUnfollow:
			blocks, news = true, news || e.new
		}
	}
	if len(pressed) > 0 {
		if err := g.press(ctx, pressed, ids); err != nil {
			return err
		}
	}
	if !blocks {
		return nil
	}
	if news {
		if err := g.endSurveys(ctx); err != nil {
			return err
		}
	}
	_, err := g.openSurveys(ctx)
	return err
}

func (g *ingest) press(ctx context.Context, pressed []taken, ids []string) error {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	invitations := map[string]Invitation{}
	for _, id := range ids { // in one order, whoever locks several
		inv, err := g.c.lockInvitation(ctx, `id = $1`, id)
		if conversation.CodeOf(err) == conversation.CodeNotFound {
			continue // its survey was erased
		}
		if err != nil {
			return err
		}
		if inv.ChannelID == g.req.ChannelID && inv.chatKey == g.req.ChatKey {
			invitations[id] = inv
		}
	}
	handled := []any{DispositionSurvey}
	for _, e := range pressed {
		inv, ok := invitations[e.item.Survey.InvitationID]
		if e.new {
			handled = append(handled, e.ID)
		}
		if !ok {
			continue
		}
		g.wake(inv.ConversationID)
		if e.new {
			if err := g.pressed(ctx, inv, e); err != nil {
				return err
			}
		}
	}
	if len(handled) == 1 {
		return nil
	}
	_, err := g.c.exec(ctx, `UPDATE line_events SET disposition = $1 WHERE id IN (`+list1(len(handled)-1, 2)+`)`, handled...)
	return err
}

// pressed keeps one tap. One that comes when the survey is over is kept as
// late, and its workflow looks whether there is somebody to thank.
func (g *ingest) pressed(ctx context.Context, inv Invitation, e taken) error {
	tap := e.item.Survey
	q, ok := survey.Find(inv.Questions, tap.QuestionID)
	if !ok {
		return nil
	}
	score, ok := q.Accepts(tap.Value)
	if !ok {
		return nil
	}
	kept, err := g.c.answer(ctx, inv, q, givenAnswer{
		Value: tap.Value, Score: score, Via: survey.ViaButton, At: g.now,
		Late: inv.State != survey.Open || e.LineTime > micros(inv.ExpiresAt),
	})
	if err != nil || !kept {
		return err
	}
	return g.c.wantSurvey(ctx, inv.ID, g.now)
}

// endSurveys cancels the chat's open surveys: the customer has blocked the
// account.
func (g *ingest) endSurveys(ctx context.Context) error {
	var rows []invitationRow
	if err := g.c.list(ctx, &rows, `UPDATE survey_invitations SET state = $1, ended_at = $2, wanted_at = $2
		WHERE channel_id = $3 AND chat_key = $4 AND state = 'open' RETURNING `+invitationColumns,
		string(survey.Cancelled), g.now, g.req.ChannelID, g.req.ChatKey); err != nil {
		return err
	}
	for _, r := range rows {
		inv, err := r.open(nil)
		if err != nil {
			return err
		}
		if err := g.c.recordSurvey(ctx, "survey.cancelled", inv, nil, g.now); err != nil {
			return err
		}
	}
	return nil
}

// recallAnswer empties a typed answer the customer took back: to the survey it
// is a question skipped. It tells whether there was one.
func (g *ingest) recallAnswer(ctx context.Context, lineMessageID string) (bool, error) {
	n, err := g.c.exec(ctx, `UPDATE survey_answers SET value = '', score = 0
		WHERE line_message_id = $1 AND line_message_id <> '' AND EXISTS (
			SELECT 1 FROM survey_invitations i WHERE i.id = survey_answers.invitation_id AND i.channel_id = $2 AND i.chat_key = $3)`, lineMessageID, g.req.ChannelID, g.req.ChatKey)
	if err != nil {
		return false, fmt.Errorf("take back an answer: %w", err)
	}
	return n > 0, nil
}
