package activities

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// IngestInput says whose inbox to empty.
type IngestInput struct {
	ChannelID      string `json:"channel_id"`
	ChatKey        string `json:"chat_key"`
	ConversationID string `json:"conversation_id,omitempty"` // "" in a fresh run
	Seen           int64  `json:"seen,omitempty"`
	Epoch          int64  `json:"epoch,omitempty"`
	Asking         bool   `json:"asking,omitempty"`  // the customer's consent is awaited
	Sending        bool   `json:"sending,omitempty"` // the lane works
	RunID          string `json:"run_id,omitempty"`  // of a fresh run
	Left           string `json:"left,omitempty"`    // of a fresh run: where the one before has said goodbye

	// Turn, when set, has a script bot answer in the same activity: it needs
	// nothing but the database, and a turn of its own would cost events.
	Turn *TurnInput `json:"turn,omitempty"`
}

// IngestOutput is what was found.
type IngestOutput struct {
	store.IngestResult
	Settings *conversation.Settings `json:"settings,omitempty"`
	Turn     *TurnOutput            `json:"turn,omitempty"` // set when Turn was asked for and there was something to answer
	// Quick: LINE answers this worker soon, so that it may be called within the
	// task.
	Quick bool `json:"quick,omitempty"`
	// Plot is the version of the plot that goes on from here: told by what is in
	// the history anyway, it costs no event of its own.
	Plot int `json:"plot,omitempty"`
}

// Plot is the present version of the Conversation workflow's plot. In 0 the search
// attributes were set whenever the conversation moved, in 1 when it rests.
const Plot = 1

// Ingest takes all unhandled events of a chat; see store.Ingest.
func (a *Activities) Ingest(ctx context.Context, in IngestInput) (IngestOutput, error) {
	plan, err := a.plans.get(ctx, in.ChannelID)
	if err != nil {
		return IngestOutput{}, final(err)
	}
	begun := time.Now()
	var parents []string
	took := func(events []store.Taken) { parents = a.took(events) }
	res, err := a.store.Ingest(ctx, store.IngestRequest{
		ChannelID: in.ChannelID, ChatKey: in.ChatKey, ConversationID: in.ConversationID, Seen: in.Seen, Epoch: in.Epoch,
		Asking: in.Asking, Sending: in.Sending, RunID: in.RunID, Left: in.Left, Deadline: attemptDeadline(ctx), Plan: &plan, Took: took,
	}, reading(plan).interpret)
	if err != nil {
		return IngestOutput{}, final(err)
	}
	if len(parents) > 0 { // what follows in this activity is a part of it
		var span trace.Span
		ctx, span = a.tracer.From(ctx, "ingest", begun, parents, attribute.String("kaiwa.conversation", res.ConversationID), attribute.Int("kaiwa.messages", res.Messages))
		defer span.End()
	}
	for _, s := range res.Surveys {
		if err := a.wakeSurvey(ctx, s.ChannelID, s.ConversationID); err != nil {
			return IngestOutput{}, err
		}
	}
	set := settings(plan)
	set.Survey = set.Survey || res.SurveyDue
	set.RichMenus = set.RichMenus && !res.OfMany // LINE shows none there
	if res.Owner == conversation.OwnerBot && (plan.Bot == nil || plan.Bot.ID != res.BotID) {
		bot, err := a.botOf(ctx, plan, res.BotID)
		switch {
		case err == nil && bot != nil:
			set.BotKind = bot.Kind
		case conversation.CodeOf(err) != conversation.CodeNotFound: // one that is gone fails in its turn
			return IngestOutput{}, final(err)
		}
	}
	out := IngestOutput{IngestResult: res, Settings: &set, Quick: a.pace.quick(), Plot: Plot}
	if in.Turn == nil || res.Messages == 0 || res.Blocked || res.Owner != conversation.OwnerBot || res.Epoch != in.Turn.Epoch {
		return out, nil
	}
	in.Turn.inIngest = len(parents) > 0
	turn, err := a.turn(ctx, *in.Turn)
	if err != nil {
		return IngestOutput{}, final(err)
	}
	out.Turn = &turn
	return out, nil
}

// took notes how long events have waited to be taken in, and returns the spans
// in which they came.
func (a *Activities) took(events []store.Taken) (parents []string) {
	now := a.now()
	for _, e := range events {
		a.metrics.Ingested(now.Sub(e.ReceivedAt))
		if e.Trace != "" && a.tracer != nil && !slices.Contains(parents, e.Trace) {
			parents = append(parents, e.Trace)
		}
	}
	return parents
}

// payload is what the transcript keeps of a message beside its text: LINE's
// own object, with what it quotes.
func payload(m *line.Message) string {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(m.Payload, &fields); err != nil {
		return string(m.Payload)
	}
	if m.QuotedMessageID != "" {
		quoted, err := json.Marshal(m.QuotedMessageID)
		if err == nil {
			fields["quotedMessageId"] = quoted
		}
	}
	if len(fields) == 0 {
		return ""
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return string(m.Payload)
	}
	return string(out)
}

// marks are LINE's emojis and mention of a text: what stands where in it. "" for
// none.
func marks(m *line.Message) string {
	var of struct {
		Emojis  json.RawMessage `json:"emojis,omitempty"`
		Mention json.RawMessage `json:"mention,omitempty"`
	}
	if json.Unmarshal(m.Payload, &of) != nil || of.Emojis == nil && of.Mention == nil {
		return ""
	}
	out, err := json.Marshal(of)
	if err != nil {
		return ""
	}
	return string(out)
}
