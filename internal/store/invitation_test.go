package store_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
	"kaiwa/internal/survey"
)

// asking is a conversation that is followed by a survey, on a clock of its own.
type asking struct {
	*lane
	settings survey.Settings
	policy   survey.Policy
}

// someSurvey has the id svy_1.
const someSurvey = "svy_1"

func threeQuestions() survey.Settings {
	return survey.Settings{Mode: survey.ModeLINE, ExpiresSeconds: 3600, Questions: []survey.Question{
		{ID: "satisfied", Kind: survey.KindCSAT, Text: map[string]string{"en": "Satisfied?", "ja": "満足?"}},
		{ID: "words", Kind: survey.KindText, Optional: true, Text: map[string]string{"en": "Why?", "ja": "理由?"}},
		{ID: "again", Kind: survey.KindNPS, Text: map[string]string{"en": "Recommend?", "ja": "すすめる?"}},
	}}
}

// execer runs statements beside the store.
type execer interface {
	ExecContext(ctx context.Context, q string, args ...any) (sql.Result, error)
}

// define stores the survey that follows conversations with bots.
func (a *asking) define(t *testing.T, db execer) {
	t.Helper()
	if a.settings.Questions == nil {
		a.settings = threeQuestions()
	}
	settings, err := json.Marshal(a.settings)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), fmt.Sprintf(`INSERT INTO surveys (id, name, settings, version, created_at, updated_at) VALUES ('%s', 'After', '%s', 1, 1, 1)`, someSurvey, settings))
	require.NoError(t, err)
	a.policy = survey.Policy{BotSurveyID: someSurvey, After: survey.Causes()}
}

// eachAsking runs f after a conversation was closed that a survey may follow.
func eachAsking(t *testing.T, f func(t *testing.T, a *asking), change ...func(*survey.Settings)) {
	t.Helper()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			a := &asking{lane: &lane{}, settings: threeQuestions()}
			for _, c := range change {
				c(&a.settings)
			}
			a.now.Store(time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC).UnixMicro())
			s, url := storetest.New(t, dialect, func(o *store.Options) { o.Now = a.Now })
			a.talk = newTalk(t, s)
			a.define(t, writer(t, url))
			a.id, a.seen = a.begin("first")
			a.shut(conversation.EventBotEnded)
			f(t, a)
		})
	}
}

// begin writes a message that starts a conversation.
func (a *asking) begin(text string) (id string, seen int64) {
	a.t.Helper()
	a.write("begin-"+text, text)
	res := a.fresh()
	require.NotEmpty(a.t, res.ConversationID)
	return res.ConversationID, res.Seen
}

// write receives a message that is written now.
func (a *asking) write(id, text string) {
	a.t.Helper()
	a.arrive(id, a.Now(), a.Now(), func(e *store.InboxEvent) { e.Raw = []byte("message " + text) })
}

// tap is the event of a button.
func (a *asking) tap(id, question, value string) store.InboxEvent {
	e := a.event(id, "tap", survey.Data(a.invitation().ID, question, value))
	e.LineTime = a.Now()
	return e
}

func (a *asking) press(id, question, value string) {
	a.t.Helper()
	_, err := a.s.AppendLINEEvents(a.t.Context(), a.plan.Channel.ID, a.Now(), []store.InboxEvent{a.tap(id, question, value)})
	require.NoError(a.t, err)
}

// readSurvey is an Interpreter that knows buttons of surveys too.
func readSurvey(e store.LINEEvent) store.Item {
	kind, data, _ := strings.Cut(string(e.Raw), " ")
	if invitation, question, value, ok := survey.ParseData(data); kind == "tap" && ok {
		return store.Item{Kind: store.ItemSurveyTap, Survey: store.SurveyTap{InvitationID: invitation, QuestionID: question, Value: value}}
	}
	return read(e)
}

func (a *asking) take(conversationID string, seen int64) store.IngestResult {
	a.t.Helper()
	req := a.request(conversationID, seen)
	req.Deadline, req.Epoch = time.Time{}, 1
	res, err := a.s.Ingest(a.t.Context(), req, readSurvey)
	require.NoError(a.t, err)
	return res
}

func (a *asking) fresh() store.IngestResult { a.t.Helper(); return a.take("", 0) }

func (a *asking) shut(event conversation.Event) {
	a.t.Helper()
	_, err := a.s.Transition(a.t.Context(), store.TransitionRequest{
		ID: "shut-" + a.id, ConversationID: a.id, ChannelID: a.plan.Channel.ID, ChatKey: a.chat, Event: event, Seen: a.seen,
	})
	require.NoError(a.t, err)
}

func (a *asking) invite() bool {
	a.t.Helper()
	invited, err := a.s.Invite(a.t.Context(), store.InviteRequest{ConversationID: a.id, Policy: a.policy})
	require.NoError(a.t, err)
	return invited
}

func (a *asking) advance(change ...func(*store.AdvanceRequest)) store.SurveyStep {
	a.t.Helper()
	text := func(s string) store.Draft {
		return store.Draft{SenderKind: conversation.SenderSystem, Content: conversation.TextContent(s)}
	}
	req := store.AdvanceRequest{ConversationID: a.id, Say: store.SurveyWords{
		Invitation: []store.Draft{text("please")}, Thanks: []store.Draft{text("thanks")},
		Question: func(i int) store.Draft { return text(fmt.Sprint("question ", i)) },
	}}
	for _, c := range change {
		c(&req)
	}
	step, err := a.s.AdvanceSurvey(a.t.Context(), req)
	require.NoError(a.t, err)
	return step
}

func expire(req *store.AdvanceRequest) { req.Expire = true }

func (a *asking) invitation() store.Invitation {
	a.t.Helper()
	inv, err := a.s.InvitationAfter(a.t.Context(), a.id)
	require.NoError(a.t, err)
	return inv
}

// answers are the answers so far, as "question value via", and "late".
func (a *asking) answers() (out []string) {
	a.t.Helper()
	for _, answer := range a.invitation().Answers {
		s := strings.Join([]string{answer.QuestionID, answer.Value, string(answer.Via)}, " ")
		if answer.Late {
			s += " late"
		}
		out = append(out, s)
	}
	return out
}

func (a *asking) said() (out []string) {
	a.t.Helper()
	for _, m := range a.outbound() {
		out = append(out, m.Text)
	}
	return out
}

// self is the survey as a wake-up names it.
func (a *asking) self() []conversation.SurveyInput {
	return []conversation.SurveyInput{{ConversationID: a.id, ChannelID: a.plan.Channel.ID}}
}

func (a *asking) wanted() []conversation.SurveyInput {
	a.t.Helper()
	list, err := a.s.WantedSurveys(a.t.Context(), a.Now().Add(time.Microsecond), 10)
	require.NoError(a.t, err)
	return list
}

// happened are the events of the survey.
func (a *asking) happened() (out []string) {
	a.t.Helper()
	_, err := a.s.SequenceEvents(a.t.Context())
	require.NoError(a.t, err)
	list, err := a.s.Events(a.t.Context(), 0, 1000, a.id)
	require.NoError(a.t, err)
	for _, e := range list {
		if strings.HasPrefix(e.Type, "survey.") {
			require.NotContains(a.t, e.Data, "secret words")
			out = append(out, e.Type)
		}
	}
	return out
}

func TestASurveyAsksOneQuestionAfterTheOtherAndThanks(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		require.True(t, a.invite())
		require.Equal(t, a.self(), a.wanted(), "a start that gets lost is repeated")
		step := a.advance()
		require.Equal(t, store.SurveyStep{State: survey.Open, Mode: survey.ModeLINE, Asked: 1, Questions: 3, ExpiresMS: a.Now().Add(time.Hour).UnixMilli(), Pending: true}, step)
		require.Equal(t, []string{"please", "question 0"}, a.said())
		require.Empty(t, a.wanted())
		require.Equal(t, 1, a.advance().Asked, "run again, it asks nothing twice")
		require.Len(t, a.said(), 2)

		a.pass(time.Second)
		a.press("t1", "satisfied", "4")
		res := a.fresh()
		require.Empty(t, res.ConversationID, "an answer is no conversation")
		require.Equal(t, a.self(), res.Surveys)
		require.Equal(t, 2, a.advance().Asked)

		a.pass(time.Second)
		a.write("w1", "secret words")
		require.Empty(t, a.fresh().ConversationID)
		require.Equal(t, 3, a.advance().Asked)

		a.pass(time.Second)
		a.write("w2", "１０")
		require.Equal(t, a.self(), a.fresh().Surveys)
		require.Equal(t, survey.Answered, a.advance().State)
		require.Equal(t, []string{"please", "question 0", "question 1", "question 2", "thanks"}, a.said())
		require.Equal(t, []string{"satisfied 4 button", "words secret words typed", "again 10 typed"}, a.answers())
		require.Equal(t, survey.Answered, a.advance().State)
		require.Len(t, a.said(), 5, "thanks are said once")
		require.Equal(t, []string{"survey.invited", "survey.answered", "survey.answered", "survey.answered", "survey.completed"}, a.happened())

		a.pass(time.Second)
		a.write("w3", "10")
		require.NotEmpty(t, a.fresh().ConversationID, "nothing is asked any more")
	})
}

func TestASurveyFollowsAConversationOnce(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		require.True(t, a.invite())
		first := a.invitation()
		require.True(t, a.invite(), "it answers the same")
		require.Equal(t, first.ID, a.invitation().ID)
		require.Equal(t, []string{"survey.invited"}, a.happened())
		require.Equal(t, "en", first.Locale)
		require.Equal(t, a.plan.Bot.ID, first.BotID)
		require.Equal(t, a.settings.Questions, first.Questions)
	})
}

func TestNoSurveyFollowsWhereNoneIsMeantTo(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		for name, p := range map[string]survey.Policy{"off": {}, "only people": {AgentSurveyID: someSurvey}, "deleted": {BotSurveyID: "svy_gone"}} {
			a.policy = p
			require.False(t, a.invite(), name)
		}
		_, err := a.s.InvitationAfter(t.Context(), a.id)
		require.Equal(t, conversation.CodeNotFound, conversation.CodeOf(err))
	})
}

func TestAnswersTakenInTwiceWakeTheSurveyTwiceAndCountOnce(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		a.invite()
		a.advance()
		a.pass(time.Second)
		a.press("t1", "satisfied", "4")
		first := a.fresh()
		require.Equal(t, a.self(), first.Surveys)
		require.Equal(t, first, a.fresh(), "the first attempt died before it could wake anybody")
		require.Equal(t, a.self(), a.wanted())
		a.press("t2", "satisfied", "1")
		a.fresh()
		require.Equal(t, []string{"satisfied 4 button"}, a.answers(), "the first answer stands")
		a.advance()
		require.Empty(t, a.fresh().Surveys, "it was seen")
		a.pass(time.Second)
		a.write("w1", "because")
		first = a.fresh()
		require.Equal(t, a.self(), first.Surveys)
		require.Equal(t, first, a.fresh(), "likewise for what is typed")
	})
}

func TestAButtonAnswersItsSurveyDuringALaterConversation(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		a.invite()
		a.advance()
		a.pass(time.Second)
		later, seen := a.begin("something else")
		require.NotEqual(t, a.id, later)
		a.press("t1", "satisfied", "5")
		a.write("w1", "4")
		res := a.take(later, seen)
		require.Equal(t, 1, res.Messages, "what is typed belongs to the conversation")
		require.Equal(t, a.self(), res.Surveys)
		require.Equal(t, res, a.take(later, seen), "run again, it answers the same")
		require.Equal(t, []string{"something else", "4"}, a.texts(later))
		require.Equal(t, []string{"satisfied 5 button"}, a.answers())
		require.Equal(t, 2, a.advance().Asked, "and goes on")
		res = a.take(later, res.Seen)
		require.Empty(t, res.Surveys)
		require.Equal(t, later, a.fresh().ConversationID, "a run that takes over")
		require.Equal(t, 2, a.advance().Asked, "and may wake it again")
	})
}

func TestWhatIsTypedAnswersOnlyInTimeAndExactly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do     func(a *asking)
		answer bool
	}{
		"a number":                {func(a *asking) { a.pass(14 * time.Minute); a.write("w", " ５ ") }, true},
		"a word":                  {func(a *asking) { a.pass(time.Second); a.write("w", "very SATISFIED") }, true},
		"both":                    {func(a *asking) { a.pass(time.Second); a.write("w", "5 Very satisfied") }, true},
		"no choice":               {func(a *asking) { a.pass(time.Second); a.write("w", "6") }, false},
		"more than a choice":      {func(a *asking) { a.pass(time.Second); a.write("w", "5 parcels are missing") }, false},
		"too late":                {func(a *asking) { a.pass(15*time.Minute + time.Second); a.write("w", "5") }, false},
		"written before":          {func(a *asking) { a.arrive("w", a.Now().Add(-2*time.Minute), a.Now().Add(time.Second), five) }, false},
		"received before":         {func(a *asking) { a.arrive("w", a.Now(), a.Now().Add(-time.Second), five) }, false},
		"LINE's clock is behind":  {func(a *asking) { a.arrive("w", a.Now().Add(-time.Second), a.Now().Add(time.Second), five) }, true},
		"a conversation is begun": {func(a *asking) { a.pass(time.Second); a.write("v", "hello"); a.pass(time.Second); a.write("w", "5") }, false},
		"taken back at once": {func(a *asking) {
			a.pass(time.Second)
			a.write("w", "5")
			a.arrive("u", a.Now().Add(time.Second), a.Now(), func(e *store.InboxEvent) { e.Raw = []byte("unsend line-w") })
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachAsking(t, func(t *testing.T, a *asking) {
				a.invite()
				a.advance()
				c.do(a)
				res := a.fresh()
				if c.answer {
					require.Empty(t, res.ConversationID)
					require.Equal(t, []string{"satisfied 5 typed"}, a.answers())
					return
				}
				require.NotEmpty(t, res.ConversationID, "it begins a conversation as usual")
				require.Empty(t, a.answers())
			})
		})
	}
}

func five(e *store.InboxEvent) { e.Raw = []byte("message 5") }

func TestWhatFollowsATypedAnswerBeginsAConversation(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		a.invite()
		a.advance()
		a.pass(time.Second)
		a.write("w1", "5")
		a.pass(time.Millisecond)
		a.write("w2", "and a question")
		res := a.fresh()
		require.Equal(t, []string{"and a question"}, a.texts(res.ConversationID))
		require.Equal(t, []string{"satisfied 5 typed"}, a.answers())
		require.Equal(t, a.self(), res.Surveys)
	})
}

func TestOfTwoSurveysTheQuestionAskedLastIsAnsweredByTyping(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		a.invite()
		a.advance()
		old := a.id
		a.pass(time.Minute)
		a.id, a.seen = a.begin("another")
		a.shut(conversation.EventBotEnded)
		a.invite()
		a.advance()
		a.pass(time.Second)
		a.write("w1", "3")
		require.Equal(t, a.self(), a.fresh().Surveys)
		require.Equal(t, []string{"satisfied 3 typed"}, a.answers())
		a.id = old
		require.Empty(t, a.answers())
		a.press("t1", "satisfied", "1")
		require.Contains(t, a.fresh().Surveys, a.self()[0])
		require.Equal(t, []string{"satisfied 1 button"}, a.answers(), "a button answers its own")
	})
}

func TestAnExpiredSurveyKeepsLateAnswersAndThanksOnce(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		a.invite()
		a.advance()
		a.pass(time.Hour)
		require.Equal(t, survey.Expired, a.advance(expire).State)
		require.Equal(t, []string{"please", "question 0"}, a.said(), "nothing is sent")
		a.press("t1", "satisfied", "2")
		require.Equal(t, a.self(), a.fresh().Surveys)
		require.Equal(t, []string{"satisfied 2 button late"}, a.answers())
		require.Equal(t, survey.Expired, a.advance().State)
		require.Equal(t, []string{"please", "question 0", "thanks"}, a.said(), "no next question")
		a.press("t2", "satisfied", "3")
		a.fresh()
		a.advance()
		require.Len(t, a.said(), 3)
		require.Equal(t, []string{"survey.invited", "survey.expired", "survey.answered"}, a.happened())
	})
}

func TestAnAnswerInTheLastMomentCountsThoughTheTimerRings(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		a.invite()
		a.advance()
		for i, q := range a.settings.Questions[:2] {
			a.pass(time.Second)
			a.press(fmt.Sprint("t", i), q.ID, map[int]string{0: "5", 1: ""}[i])
			a.fresh()
			a.advance()
		}
		a.press("t9", "again", "0")
		a.fresh()
		require.Equal(t, survey.Answered, a.advance(expire).State)
		require.Equal(t, []string{"satisfied 5 button", "words  button", "again 0 button"}, a.answers(), "one is skipped")
	})
}

func TestABlockEndsTheSurvey(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		a.invite()
		a.advance()
		a.pass(time.Second)
		a.arrive("u1", a.Now(), a.Now(), func(e *store.InboxEvent) { e.Kind, e.Raw = "unfollow", []byte("unfollow") })
		res := a.fresh()
		require.Equal(t, a.self(), res.Surveys)
		require.Equal(t, survey.Cancelled, a.invitation().State)
		require.Equal(t, res.Surveys, a.fresh().Surveys, "until its workflow has seen it")
		require.Equal(t, survey.Cancelled, a.advance().State)
		require.Empty(t, a.fresh().Surveys)
		require.Len(t, a.said(), 2)
		require.Equal(t, []string{"survey.invited", "survey.cancelled"}, a.happened())
	})
}

func TestAnswersOfTheWrongKindOrChatAreNone(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		a.invite()
		a.advance()
		a.pass(time.Second)
		a.press("t1", "satisfied", "6")
		a.press("t2", "nosuch", "5")
		a.press("t3", "satisfied", "")
		forged := a.tap("t4", "satisfied", "5")
		forged.ChatKey, forged.SourceID = conversation.ChatKey("user", "U"+strings.Repeat("2", 32)), "U"+strings.Repeat("2", 32)
		gone := a.event("t5", "tap", survey.Data("inv_gone", "satisfied", "5"))
		_, err := a.s.AppendLINEEvents(t.Context(), a.plan.Channel.ID, a.Now(), []store.InboxEvent{forged, gone})
		require.NoError(t, err)
		require.Empty(t, a.fresh().ConversationID)
		a.chat = forged.ChatKey
		res := a.fresh()
		require.Empty(t, res.ConversationID)
		require.Empty(t, res.Surveys)
		require.Empty(t, a.answers())
	})
}

func TestATypedAnswerTakenBackIsEmptied(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		a.invite()
		a.advance()
		a.press("t1", "satisfied", "5")
		a.fresh()
		a.advance()
		a.pass(time.Second)
		a.write("w1", "secret words")
		a.fresh()
		a.pass(time.Second)
		a.arrive("u1", a.Now(), a.Now(), func(e *store.InboxEvent) { e.Kind, e.Raw = "unsend", []byte("unsend line-w1") })
		require.Empty(t, a.fresh().ConversationID)
		require.Equal(t, []string{"satisfied 5 button", "words  typed"}, a.answers())
		require.Equal(t, 3, a.advance().Asked, "the survey goes on")
	})
}

func TestThePageAnswersEverythingOnce(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		a.invite()
		require.Equal(t, 3, a.advance().Asked)
		require.Equal(t, []string{"please", "question 0"}, a.said())
		inv := a.invitation()
		answer := func(values map[string]string) error {
			_, err := a.s.AnswerByLink(t.Context(), inv.ID, values)
			return err
		}
		require.Equal(t, conversation.CodeInvalid, conversation.CodeOf(answer(map[string]string{"satisfied": "5"})))
		require.Empty(t, a.answers(), "all or nothing")
		good := map[string]string{"satisfied": "5", "again": "10", "words": ""}
		require.NoError(t, answer(good))
		require.Equal(t, a.self(), a.wanted())
		require.Equal(t, conversation.CodeConflict, conversation.CodeOf(answer(good)))
		require.Equal(t, survey.Answered, a.advance().State)
		require.Equal(t, conversation.CodeConflict, conversation.CodeOf(answer(good)))
		require.Equal(t, []string{"please", "question 0", "thanks"}, a.said())
		require.Equal(t, []string{"satisfied 5 link", "words  link", "again 10 link"}, a.answers())
	}, func(s *survey.Settings) { s.Mode = survey.ModeLink })
}

func TestAnExpiredPageTakesNothing(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		a.invite()
		a.advance()
		a.pass(time.Hour)
		_, err := a.s.AnswerByLink(t.Context(), a.invitation().ID, map[string]string{"satisfied": "5", "again": "10", "words": ""})
		require.Equal(t, conversation.CodeNotAllowedNow, conversation.CodeOf(err))
		require.Empty(t, a.answers())
	}, func(s *survey.Settings) { s.Mode = survey.ModeLink })
}

func TestInvitationsAreListedByWhatTheyAreAttributedTo(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		var ids []string
		for i := range 3 {
			if i > 0 {
				a.pass(time.Minute)
				a.id, a.seen = a.begin(fmt.Sprint("conversation ", i))
				a.shut(conversation.EventBotEnded)
			}
			a.invite()
			ids = append(ids, a.invitation().ID)
		}
		list := func(f store.InvitationFilter, after store.Cursor, limit int) (out []string) {
			page, err := a.s.Invitations(t.Context(), f, after, limit)
			require.NoError(t, err)
			for _, inv := range page {
				out = append(out, inv.ID)
			}
			return out
		}
		require.Equal(t, ids, list(store.InvitationFilter{}, store.Cursor{}, 10))
		require.Equal(t, ids, list(store.InvitationFilter{SurveyID: someSurvey, BotID: a.plan.Bot.ID, ChannelID: a.plan.Channel.ID, State: survey.Open}, store.Cursor{}, 10))
		require.Empty(t, list(store.InvitationFilter{AgentID: "agt_1"}, store.Cursor{}, 10))
		require.Empty(t, list(store.InvitationFilter{QueueID: "que_1"}, store.Cursor{}, 10))
		page, err := a.s.Invitations(t.Context(), store.InvitationFilter{}, store.Cursor{}, 2)
		require.NoError(t, err)
		require.Equal(t, ids[2:], list(store.InvitationFilter{}, store.Cursor{At: page[1].CreatedAt, ID: page[1].ID}, 2))
	})
}

// A survey and a later conversation have a lane each. A reply token serves one
// of them, however they meet.
func TestTwoLanesOfAChatShareItsReplyTokens(t *testing.T) {
	t.Parallel()
	eachAsking(t, func(t *testing.T, a *asking) {
		first := a.id
		later, _ := a.begin("later")
		for round := range 5 {
			a.pass(time.Minute) // no earlier token lives that long
			a.write(fmt.Sprint("token", round), "hello")
			var wg sync.WaitGroup
			batches := make([]*store.Batch, 2)
			for i, id := range []string{first, later} {
				_, err := a.s.Announce(t.Context(), id, fmt.Sprint(id, round), []store.Draft{{SenderKind: conversation.SenderSystem, Content: conversation.TextContent("x")}})
				require.NoError(t, err)
				wg.Go(func() {
					b, err := a.s.NextBatch(t.Context(), id, plain)
					if err == nil {
						batches[i] = b
					}
				})
			}
			wg.Wait()
			var kinds []string
			for _, b := range batches {
				require.NotNil(t, b)
				kinds = append(kinds, b.Kind)
				a.finish(b, store.BatchEnd{State: store.BatchAccepted})
			}
			slices.Sort(kinds)
			require.Equal(t, []string{"push", "reply"}, kinds)
		}
	})
}
