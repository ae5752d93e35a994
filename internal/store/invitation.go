package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/survey"
)

// Invitation is a survey that follows one conversation: at most one does. Its
// questions are as they were when it began.
type Invitation struct {
	ID             string
	ConversationID string
	SurveyID       string
	ChannelID      string
	AgentID        string // to whom the answers are attributed, like the next two
	QueueID        string
	BotID          string
	Locale         string
	Mode           survey.Mode
	Questions      []survey.Question
	State          survey.State
	Asked          int // how many questions have been asked
	AskedAt        time.Time
	CreatedAt      time.Time
	ExpiresAt      time.Time
	EndedAt        time.Time
	Answers        []SurveyAnswer // in the order of the questions

	chatKey string
}

// SurveyAnswer is the customer's answer to one question. The first one stands.
type SurveyAnswer struct {
	QuestionID string
	Value      string // survey.Skipped when the question was skipped, or the answer taken back
	Score      int64  // of a question with numbers
	Via        survey.Via
	Late       bool // given when the survey was over
	CreatedAt  time.Time
}

type invitationRow struct {
	ID             string       `db:"id"`
	ConversationID string       `db:"conversation_id"`
	SurveyID       string       `db:"survey_id"`
	ChannelID      string       `db:"channel_id"`
	ChatKey        string       `db:"chat_key"`
	AgentID        string       `db:"agent_id"`
	QueueID        string       `db:"queue_id"`
	BotID          string       `db:"bot_id"`
	Locale         string       `db:"locale"`
	Mode           survey.Mode  `db:"mode"`
	Questions      string       `db:"questions"`
	State          survey.State `db:"state"`
	Asked          int          `db:"asked"`
	AskedAt        int64        `db:"asked_at"`
	WantedAt       int64        `db:"wanted_at"`
	CreatedAt      int64        `db:"created_at"`
	ExpiresAt      int64        `db:"expires_at"`
	EndedAt        int64        `db:"ended_at"`
}

type answerRow struct {
	InvitationID string     `db:"invitation_id"`
	QuestionID   string     `db:"question_id"`
	Value        string     `db:"value"`
	Score        int64      `db:"score"`
	Via          survey.Via `db:"via"`
	Late         bool       `db:"late"`
	CreatedAt    int64      `db:"created_at"`
}

const (
	invitationColumns = `id, conversation_id, survey_id, channel_id, chat_key, agent_id, queue_id, bot_id, locale, mode, questions, state,
	asked, asked_at, wanted_at, created_at, expires_at, ended_at`
	answerColumns = `invitation_id, question_id, value, score, via, late, created_at`
)

func (r invitationRow) questions() ([]survey.Question, error) {
	var q []survey.Question
	if err := json.Unmarshal([]byte(r.Questions), &q); err != nil {
		return nil, fmt.Errorf("questions of invitation %s: %w", r.ID, err)
	}
	return q, nil
}

// open makes an Invitation of its row and its answers.
func (r invitationRow) open(answers []answerRow) (Invitation, error) {
	inv := Invitation{
		ID: r.ID, ConversationID: r.ConversationID, SurveyID: r.SurveyID, ChannelID: r.ChannelID, chatKey: r.ChatKey,
		AgentID: r.AgentID, QueueID: r.QueueID, BotID: r.BotID, Locale: r.Locale, Mode: r.Mode, State: r.State, Asked: r.Asked,
		AskedAt: fromMicros(r.AskedAt), CreatedAt: fromMicros(r.CreatedAt), ExpiresAt: fromMicros(r.ExpiresAt), EndedAt: fromMicros(r.EndedAt),
		Answers: []SurveyAnswer{},
	}
	var err error
	if inv.Questions, err = r.questions(); err != nil {
		return inv, err
	}
	for _, q := range inv.Questions {
		for _, a := range answers {
			if a.InvitationID == r.ID && a.QuestionID == q.ID {
				inv.Answers = append(inv.Answers, SurveyAnswer{a.QuestionID, a.Value, a.Score, a.Via, a.Late, fromMicros(a.CreatedAt)})
			}
		}
	}
	return inv, nil
}

// InviteRequest asks for the survey that follows a closed conversation.
type InviteRequest struct {
	ConversationID string
	Policy         survey.Policy
	Deadline       time.Time // after it, the attempt changes nothing
}

// Invite begins the survey that follows a closed conversation, if there is one:
// its workflow is wanted from then on. Whom a survey follows is decided with the
// close, or here where that knew of no policy; and once a conversation: asked
// again, it answers the same.
func (s *Store) Invite(ctx context.Context, req InviteRequest) (invited bool, err error) {
	err = s.tx(ctx, func(c conn) error {
		invited = false
		row, err := c.lockConversation(ctx, req.ConversationID)
		if err != nil {
			return err
		}
		if err := s.late(req.Deadline); err != nil {
			return err
		}
		now := micros(s.now())
		n, err := c.exec(ctx, `UPDATE survey_invitations SET wanted_at = CASE WHEN `+notBegun+` THEN $1 ELSE wanted_at END WHERE conversation_id = $2`, now, row.ID)
		if invited = n > 0; err != nil {
			return err
		}
		if !invited && row.Status == conversation.StatusClosed {
			if invited, err = c.invite(ctx, row, req.Policy, now); err != nil {
				return err
			}
		}
		if invited {
			failpoint.Hit("invite.before_commit")
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("invite to the survey after conversation %s: %w", req.ConversationID, err)
	}
	if invited {
		failpoint.Hit("invite.after_commit")
	}
	return invited, nil
}

// notBegun tells of an invitation that nobody has begun the survey of: the
// conversation has yet to say its last words.
const notBegun = `state = 'open' AND asked = 0 AND wanted_at = 0`

func (r invitationRow) notBegun() bool {
	return r.State == survey.Open && r.Asked == 0 && r.WantedAt == 0
}

// invite writes the invitation to the survey that a policy has for a closed
// conversation, whose row is locked, if it has one and there is none. wantedAt is
// since when its workflow is wanted, 0 while it is not.
func (c conn) invite(ctx context.Context, row conversationRow, policy survey.Policy, wantedAt int64) (bool, error) {
	surveyID := policy.Choose(row.ClosureReason, row.AgentID, row.BotID)
	if surveyID == "" {
		return false, nil
	}
	var from struct {
		Settings string `db:"settings"`
		Language string `db:"language"`
		Group    bool   `db:"of_group"`
	}
	found, err := c.get(ctx, &from, `SELECT s.settings, c.language, coalesce((SELECT source_type <> 'user' FROM chats t
			WHERE t.channel_id = c.channel_id AND t.chat_key = c.chat_key), FALSE) AS of_group
		FROM surveys s, conversations c WHERE s.id = $1 AND c.id = $2`, surveyID, row.ID)
	if err != nil || !found || from.Group {
		return false, err // one that was deleted meanwhile asks nobody, and a group is nobody to ask
	}
	var settings survey.Settings
	if err := json.Unmarshal([]byte(from.Settings), &settings); err != nil {
		return false, fmt.Errorf("settings of survey %s: %w", surveyID, err)
	}
	settings = settings.Defaults()
	questions, err := json.Marshal(settings.Questions)
	if err != nil {
		return false, err
	}
	id := conversation.DerivedID(conversation.PrefixInvitation, row.ID)
	now := micros(c.s.now())
	n, err := c.exec(ctx, `
		INSERT INTO survey_invitations (id, conversation_id, survey_id, channel_id, chat_key, agent_id, queue_id, bot_id, locale, mode,
			questions, state, wanted_at, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (conversation_id) DO NOTHING`,
		id, row.ID, surveyID, row.ChannelID, row.ChatKey, row.AgentID, row.QueueID, row.BotID,
		survey.Locale(settings.Questions, from.Language, row.Locale), string(settings.Mode), string(questions), string(survey.Open),
		wantedAt, now, now+settings.ExpiresSeconds*1_000_000)
	if err != nil || n == 0 {
		return false, err
	}
	return true, c.recordSurvey(ctx, "survey.invited", Invitation{
		ID: id, ConversationID: row.ID, SurveyID: surveyID, AgentID: row.AgentID, QueueID: row.QueueID, BotID: row.BotID,
	}, nil, now)
}

// AdvanceRequest asks for the next step of a survey.
type AdvanceRequest struct {
	ConversationID string
	Expire, Cancel bool // its time is over; an operator ended it
	Say            SurveyWords
	Deadline       time.Time // after it, the attempt changes nothing
}

// SurveyWords are the messages of a survey.
type SurveyWords struct {
	Invitation []Draft         // before the first question
	Question   func(int) Draft // one question; in a survey by link, the link
	Thanks     []Draft
}

// SurveyStep is where a survey stands after a step. It holds numbers and
// enumerations only.
type SurveyStep struct {
	State     survey.State `json:"state"`
	Mode      survey.Mode  `json:"mode"`
	Asked     int          `json:"asked,omitempty"`     // how many questions have been asked
	Questions int          `json:"questions,omitempty"` // of how many
	ExpiresMS int64        `json:"expires_ms,omitempty"`
	Pending   bool         `json:"pending,omitempty"` // messages wait to be sent
}

// AdvanceSurvey does what is due in a survey: asks the first question, or the
// next when the last is answered; thanks when all are; ends it when its time is
// over. What was done is not done again, so that any attempt answers where the
// survey stands. An answer that came late is thanked for, once, and nothing
// else follows from it.
func (s *Store) AdvanceSurvey(ctx context.Context, req AdvanceRequest) (SurveyStep, error) {
	var step SurveyStep
	err := s.tx(ctx, func(c conn) error {
		// The invitation is locked before the conversation, as when an answer is
		// taken in: what is committed after that wants this workflow anew.
		inv, err := c.lockInvitation(ctx, `conversation_id = $1`, req.ConversationID)
		if err != nil {
			return err
		}
		row, err := c.lockConversation(ctx, req.ConversationID)
		if err != nil {
			return err
		}
		if err := s.late(req.Deadline); err != nil {
			return err
		}
		a := &advance{c: c, req: req, row: row, inv: inv, now: micros(s.now())}
		step, err = a.advance(ctx)
		failpoint.Hit("survey.before_commit")
		return err
	})
	if err != nil {
		return SurveyStep{}, fmt.Errorf("survey after conversation %s: %w", req.ConversationID, err)
	}
	failpoint.Hit("survey.after_commit")
	return step, nil
}

// lockInvitation reads an invitation with its answers and keeps others from
// changing it until the transaction ends. CodeNotFound when there is none.
func (c conn) lockInvitation(ctx context.Context, where, id string) (Invitation, error) {
	var r invitationRow
	found, err := c.get(ctx, &r, `SELECT `+invitationColumns+` FROM survey_invitations WHERE `+where+c.s.d.forUpdate(), id)
	if err != nil {
		return Invitation{}, err
	}
	if !found {
		return Invitation{}, noSurvey()
	}
	return c.withAnswers(ctx, r)
}

func noSurvey() error {
	return conversation.Errorf(conversation.CodeNotFound, "There is no such survey.")
}

func (c conn) withAnswers(ctx context.Context, r invitationRow) (Invitation, error) {
	var answers []answerRow
	if err := c.list(ctx, &answers, `SELECT `+answerColumns+` FROM survey_answers WHERE invitation_id = $1`, r.ID); err != nil {
		return Invitation{}, err
	}
	return r.open(answers)
}

// advance is one step of a survey under way.
type advance struct {
	c   conn
	req AdvanceRequest
	row conversationRow
	inv Invitation
	now int64
}

func (a *advance) advance(ctx context.Context) (SurveyStep, error) {
	var err error
	switch {
	case a.inv.State == survey.Open:
		err = a.goOn(ctx)
	case a.inv.State == survey.Expired && a.answeredLate():
		err = a.say(ctx, "thanks", a.req.Say.Thanks)
	}
	if err != nil {
		return SurveyStep{}, err
	}
	if _, err := a.c.exec(ctx, `UPDATE survey_invitations SET state = $1, asked = $2, asked_at = $3, ended_at = $4, wanted_at = 0 WHERE id = $5`,
		string(a.inv.State), a.inv.Asked, micros(a.inv.AskedAt), micros(a.inv.EndedAt), a.inv.ID); err != nil {
		return SurveyStep{}, err
	}
	step := SurveyStep{
		State: a.inv.State, Mode: a.inv.Mode, Asked: a.inv.Asked, Questions: len(a.inv.Questions), ExpiresMS: a.inv.ExpiresAt.UnixMilli(),
	}
	_, err = a.c.get(ctx, &step.Pending, anyPending, a.row.ID)
	return step, err
}

// goOn does what is due in an open survey.
func (a *advance) goOn(ctx context.Context) error {
	due := a.unanswered()
	switch {
	case due < 0:
		if err := a.say(ctx, "thanks", a.req.Say.Thanks); err != nil {
			return err
		}
		scores := map[string]int64{}
		for _, answer := range a.inv.Answers {
			if q, _ := survey.Find(a.inv.Questions, answer.QuestionID); q.Kind.Scored() && answer.Value != survey.Skipped {
				scores[q.ID] = answer.Score
			}
		}
		return a.end(ctx, survey.Answered, "survey.completed", map[string]any{"scores": scores})
	case a.req.Cancel:
		return a.end(ctx, survey.Cancelled, "survey.cancelled", nil)
	case a.req.Expire:
		return a.end(ctx, survey.Expired, "survey.expired", nil)
	case due < a.inv.Asked:
		return nil // waits for the answer
	}
	drafts := []Draft{a.req.Say.Question(due)}
	if due == 0 {
		drafts = append(a.req.Say.Invitation, drafts...)
	}
	a.inv.Asked, a.inv.AskedAt = due+1, fromMicros(a.now)
	if a.inv.Mode == survey.ModeLink {
		a.inv.Asked = len(a.inv.Questions)
	}
	return a.say(ctx, fmt.Sprint("ask ", due), drafts)
}

// unanswered is the place of the first question without an answer, -1 when
// there is none.
func (a *advance) unanswered() int {
	for i, q := range a.inv.Questions {
		answered := false
		for _, answer := range a.inv.Answers {
			answered = answered || answer.QuestionID == q.ID && !answer.Late
		}
		if !answered {
			return i
		}
	}
	return -1
}

func (a *advance) answeredLate() bool {
	for _, answer := range a.inv.Answers {
		if answer.Late {
			return true
		}
	}
	return false
}

// say stores messages of the survey, once for each occasion.
func (a *advance) say(ctx context.Context, occasion string, drafts []Draft) error {
	cause := conversation.DerivedID(conversation.PrefixStep, a.inv.ID, occasion)
	var before int
	if _, err := a.c.get(ctx, &before, `SELECT count(*) FROM messages WHERE id = $1`, conversation.DerivedID(conversation.PrefixMessage, cause, 0)); err != nil {
		return err
	}
	if before > 0 {
		return nil
	}
	_, err := a.c.insertOutbound(ctx, a.row, cause, drafts)
	return err
}

func (a *advance) end(ctx context.Context, state survey.State, event string, data map[string]any) error {
	a.inv.State, a.inv.EndedAt = state, fromMicros(a.now)
	return a.c.recordSurvey(ctx, event, a.inv, data, a.now)
}

// recordSurvey writes an event of a survey: ids, enumerations and scores, never
// words.
func (c conn) recordSurvey(ctx context.Context, event string, inv Invitation, data map[string]any, at int64) error {
	if data == nil {
		data = map[string]any{}
	}
	data["survey_id"] = inv.SurveyID
	for name, id := range map[string]string{"agent_id": inv.AgentID, "queue_id": inv.QueueID, "bot_id": inv.BotID} {
		if id != "" {
			data[name] = id
		}
	}
	return c.record(ctx, event, inv.ConversationID, inv.ID, jsonOf(data), at)
}

// AnswerByLink keeps all answers that the page of a survey was sent at once, by
// question, and wants the survey's workflow. Once there are answers it returns
// CodeConflict, and CodeNotAllowedNow when the survey is over.
func (s *Store) AnswerByLink(ctx context.Context, invitationID string, values map[string]string) (conversation.SurveyInput, error) {
	var out conversation.SurveyInput
	err := s.tx(ctx, func(c conn) error {
		inv, err := c.lockInvitation(ctx, `id = $1`, invitationID)
		if err != nil {
			return err
		}
		now := s.now()
		switch {
		case inv.State == survey.Answered || len(inv.Answers) > 0:
			return conversation.Errorf(conversation.CodeConflict, "The survey was answered before.")
		case inv.State != survey.Open || !now.Before(inv.ExpiresAt):
			return conversation.Errorf(conversation.CodeNotAllowedNow, "The survey is over.")
		}
		out = conversation.SurveyInput{ConversationID: inv.ConversationID, ChannelID: inv.ChannelID}
		for _, q := range inv.Questions {
			score, ok := q.Accepts(values[q.ID])
			if !ok {
				return conversation.Invalid("/"+q.ID, "is no answer to the question")
			}
			if _, err := c.answer(ctx, inv, q, givenAnswer{Value: values[q.ID], Score: score, Via: survey.ViaLink, At: micros(now)}); err != nil {
				return err
			}
		}
		return c.wantSurvey(ctx, inv.ID, micros(now))
	})
	if err != nil {
		return conversation.SurveyInput{}, fmt.Errorf("answers to invitation %s: %w", invitationID, err)
	}
	return out, nil
}

// givenAnswer is an answer as it is given.
type givenAnswer struct {
	Value         string
	Score         int64
	Via           survey.Via
	LINEMessageID string
	Late          bool
	At            int64
}

// answer keeps an answer, unless the question has one: the first stands.
func (c conn) answer(ctx context.Context, inv Invitation, q survey.Question, a givenAnswer) (kept bool, err error) {
	n, err := c.exec(ctx, `
		INSERT INTO survey_answers (invitation_id, question_id, value, score, via, line_message_id, late, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		inv.ID, q.ID, a.Value, a.Score, string(a.Via), a.LINEMessageID, a.Late, a.At)
	if err != nil || n == 0 {
		return false, err
	}
	data := map[string]any{"question_id": q.ID, "kind": q.Kind, "via": a.Via}
	switch {
	case a.Value == survey.Skipped:
		data["skipped"] = true
	case q.Kind.Scored():
		data["score"] = a.Score
	case q.Kind == survey.KindChoice:
		data["value"] = a.Value
	}
	if a.Late {
		data["late"] = true
	}
	return true, c.recordSurvey(ctx, "survey.answered", inv, data, a.At)
}

// wantSurvey notes that a survey's workflow is to look into the database. The
// step that does so clears it; the relay wakes the workflow for it when nobody
// else has.
func (c conn) wantSurvey(ctx context.Context, invitationID string, at int64) error {
	_, err := c.exec(ctx, `UPDATE survey_invitations SET wanted_at = $1 WHERE id = $2`, at, invitationID)
	return err
}

// WantedSurveys lists surveys whose workflows are wanted since before a time,
// those waiting longest first.
func (s *Store) WantedSurveys(ctx context.Context, before time.Time, limit int) ([]conversation.SurveyInput, error) {
	var list []conversation.SurveyInput
	err := s.read().list(ctx, &list, `SELECT conversation_id, channel_id FROM survey_invitations
		WHERE wanted_at > 0 AND wanted_at < $1 ORDER BY wanted_at LIMIT $2`, micros(before), limit)
	return list, err
}

// Invitation reads one invitation; CodeNotFound when there is none.
func (s *Store) Invitation(ctx context.Context, id string) (Invitation, error) {
	return s.invitation(ctx, `id = $1`, id)
}

// InvitationAfter reads the invitation to the survey that follows a
// conversation; CodeNotFound when there is none.
func (s *Store) InvitationAfter(ctx context.Context, conversationID string) (Invitation, error) {
	return s.invitation(ctx, `conversation_id = $1`, conversationID)
}

func (s *Store) invitation(ctx context.Context, where, id string) (Invitation, error) {
	var r invitationRow
	found, err := s.read().get(ctx, &r, `SELECT `+invitationColumns+` FROM survey_invitations WHERE `+where, id)
	if err != nil {
		return Invitation{}, err
	}
	if !found {
		return Invitation{}, noSurvey()
	}
	return s.read().withAnswers(ctx, r)
}

// InvitationFilter narrows a list; empty fields do not.
type InvitationFilter struct {
	SurveyID, AgentID, QueueID, BotID, ChannelID string
	State                                        survey.State
}

// Invitations lists invitations with their answers, oldest first.
func (s *Store) Invitations(ctx context.Context, f InvitationFilter, after Cursor, limit int) ([]Invitation, error) {
	q := `SELECT ` + invitationColumns + ` FROM survey_invitations WHERE (created_at, id) > ($1, $2)`
	args := []any{micros(after.At), after.ID}
	for _, by := range []struct{ column, value string }{
		{"survey_id", f.SurveyID}, {"agent_id", f.AgentID}, {"queue_id", f.QueueID}, {"bot_id", f.BotID}, {"channel_id", f.ChannelID}, {"state", string(f.State)},
	} {
		if by.value == "" {
			continue
		}
		args = append(args, by.value)
		q += fmt.Sprintf(" AND %s = $%d", by.column, len(args))
		if by.column == "agent_id" {
			q += " AND agent_id <> ''" // the index is of these
		}
	}
	args = append(args, limit)
	var rows []invitationRow
	if err := s.read().list(ctx, &rows, q+fmt.Sprintf(` ORDER BY created_at, id LIMIT $%d`, len(args)), args...); err != nil {
		return nil, err
	}
	out := make([]Invitation, 0, len(rows))
	if len(rows) == 0 {
		return out, nil
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	var answers []answerRow
	if err := s.read().list(ctx, &answers, `SELECT `+answerColumns+` FROM survey_answers WHERE invitation_id IN (`+list1(len(ids), 1)+`)`, anys(ids)...); err != nil {
		return nil, err
	}
	for _, r := range rows {
		inv, err := r.open(answers)
		if err != nil {
			return nil, err
		}
		out = append(out, inv)
	}
	return out, nil
}
