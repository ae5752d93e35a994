package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"kaiwa/internal/automessage"
	"kaiwa/internal/callrate"
	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// SendInput names the conversation whose lane is to be emptied.
type SendInput struct {
	ConversationID string `json:"conversation_id"`
	// Quick: a workflow waits for it within its task, so that it is given up as
	// soon as LINE is not quick.
	Quick bool `json:"quick,omitempty"`
	// NotBefore, when set, is until when LINE wants to be left alone, in Unix
	// milliseconds.
	NotBefore int64 `json:"not_before,omitempty"`
}

// SendOutput counts what became of batches.
type SendOutput struct {
	Accepted  int  `json:"accepted,omitempty"`
	Failed    int  `json:"failed,omitempty"`
	Uncertain int  `json:"uncertain,omitempty"`
	More      bool `json:"more,omitempty"` // the activity's time is up, or the worker stops; messages may remain
	// HeldUntil, when set, is until when what waits is held back for a free reply,
	// in Unix milliseconds.
	HeldUntil int64 `json:"held_until,omitempty"`
}

const (
	// tokenLife is how old a reply token may be at most when LINE's refusal of
	// it is taken to mean "used". LINE says a minute from the receipt; nearer
	// to it than this, "expired" is as likely.
	tokenLife = 55 * time.Second
	// replyRetryWindow is how old a token may be for a reply to be asked again:
	// the call has to be over within the token's life, and is given up then.
	replyRetryWindow = 50 * time.Second
	// retryKeyLife is how long after its first attempt a push is repeated. LINE
	// forgets a retry key after 24 hours and would send again.
	retryKeyLife = 23 * time.Hour
	// sendTime is how long one activity begins new calls, before it lets another
	// go on. A call takes ten seconds at most and quotaTime may come on top, so
	// that all of it stays under the activity's time-out.
	sendTime = 15 * time.Second
	// quickTime is the same where a workflow waits within its task.
	quickTime = time.Second
	// quotaTime bounds the question for the quota after a 429.
	quotaTime = 4 * time.Second
	// writeTime bounds the writing of LINE's answer, which is done even when
	// the activity was told to stop or has been given up, and tried every
	// writePause while the database is away: nobody else knows the answer, and
	// LINE can be asked again only for as long as the reply token lives. It is as
	// long as a database takes that has to recover first.
	writeTime, writePause = 20 * time.Second, 200 * time.Millisecond
)

// The failures of messages that are not LINE's own.
const (
	failureOutOfTime   = "out_of_time"    // LINE did not take it within the budget
	failureNoAnswer    = "line_no_answer" // LINE did not say, and can be asked no more
	failureChannelGone = "channel_gone"
)

// failureQuota is the failure of what LINE refused because the month's paid
// messages are used up.
const failureQuota = "line_" + string(line.ClassQuota)

// Send works off the lane of one conversation: it freezes what is ready into
// batches and brings them to LINE one after the other, in order, until nothing
// waits. It writes LINE's answers itself. While LINE is away it fails in a way
// that Temporal retries; a batch's own deadline, not a number of tries, ends it.
//
// It may run again while an earlier run of it still hangs somewhere. Whatever
// that one learns then counts only if it is that LINE took the batch; see
// store.FinishBatch.
func (a *Activities) Send(ctx context.Context, in SendInput) (SendOutput, error) {
	var out SendOutput
	if wait := time.UnixMilli(in.NotBefore).Sub(a.now()); wait > 0 {
		return out, temporal.NewApplicationErrorWithOptions("LINE did not take the batch yet", "not_before", temporal.ApplicationErrorOptions{
			NextRetryDelay: wait, Category: temporal.ApplicationErrorCategoryBenign,
		})
	}
	until := a.now().Add(sendTime)
	if in.Quick {
		if out.More = !a.pace.quick(); out.More {
			return out, nil
		}
		until = a.now().Add(quickTime)
	}
	// A reply of which nobody knows whether it arrived is asked about at once,
	// whatever the time.
	for again := false; again || a.now().Before(until) && !stopping(ctx); {
		again = false
		b, err := a.store.NextBatch(ctx, in.ConversationID, a.render)
		if err != nil || b == nil {
			return out, final(err)
		}
		if b.Spent {
			a.tellSpent(ctx, b)
		}
		if b.HeldUntil > 0 {
			out.HeldUntil = (b.HeldUntil + 999) / 1000
			return out, nil
		}
		if b.CountDue {
			if err := a.countMembers(ctx, b, in.Quick); err != nil {
				return out, final(err)
			}
		}
		if b.ID == "" {
			continue
		}
		end, refusal, present, err := a.deliver(ctx, b, in.Quick)
		switch {
		case err != nil:
			return out, err
		case !present:
			out.More = true // another run of the lane is at it; what it leaves is for the next
			return out, nil
		case end != nil:
			out.count(end.State)
			if b.Last {
				return out, nil
			}
		case refusal.RefusesToken() || askAgainAtOnce(b, refusal):
			again = true // for a channel that is held there is no next batch
		default:
			return out, a.later(b, refusal)
		}
	}
	out.More = true
	return out, nil
}

// deliver makes one attempt of a batch, in a span of the trace of its messages,
// and stores what it came to.
func (a *Activities) deliver(ctx context.Context, b *store.Batch, quick bool) (end *store.BatchEnd, refusal *line.Error, present bool, err error) {
	if b.Trace != "" {
		var span trace.Span
		ctx, span = a.tracer.From(ctx, "send", time.Now(), []string{b.Trace}, attribute.String("kaiwa.conversation", b.ConversationID),
			attribute.String("kaiwa.batch", b.ID), attribute.String("kaiwa.via", b.Kind), attribute.Int64("kaiwa.attempt", b.Attempts))
		defer func() {
			if end != nil {
				span.SetAttributes(attribute.String("kaiwa.state", end.State))
			}
			span.End()
		}()
	}
	var by voice
	if end, refusal, err = a.attempt(ctx, b, quick, &by); err != nil {
		return nil, nil, false, err
	}
	if present, err = a.write(ctx, b, end, refusal); err == nil && end == nil && refusal.RefusesToken() {
		refusal, err = a.heedToken(ctx, b, by, refusal)
	}
	return end, refusal, present, final(err)
}

// stopping tells whether the worker was told to stop: what has not begun is for
// another one.
func stopping(ctx context.Context) bool {
	if !activity.IsActivity(ctx) {
		return false
	}
	select {
	case <-activity.GetWorkerStopChannel(ctx):
		return true
	default:
		return false
	}
}

func (o *SendOutput) count(state string) {
	switch state {
	case store.BatchAccepted:
		o.Accepted++
	case store.BatchFailed:
		o.Failed++
	case store.BatchUncertain:
		o.Uncertain++
	}
}

// write stores what an attempt came to. It tells whether the attempt was still
// the present one.
func (a *Activities) write(ctx context.Context, b *store.Batch, end *store.BatchEnd, refusal *line.Error) (present bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	for {
		present, err = a.writeOnce(ctx, b, end, refusal)
		if err == nil || conversation.CodeOf(err) != "" {
			return present, err
		}
		select {
		case <-time.After(writePause):
		case <-ctx.Done():
			return present, err
		}
	}
}

func (a *Activities) writeOnce(ctx context.Context, b *store.Batch, end *store.BatchEnd, refusal *line.Error) (present bool, err error) {
	if end != nil {
		if end.State == store.BatchFailed {
			end.Notice = a.notSent(ctx, b)
		}
		written, err := a.store.FinishBatch(ctx, b, *end)
		if written {
			a.measure(b, end)
			if end.Failure == failureQuota && !end.Keep {
				a.tellSpent(ctx, b)
			}
		}
		return written, err
	}
	outcome := store.OutcomeNotTaken
	switch {
	case refusal.Ambiguous():
		outcome = store.OutcomeUnclear
	case refusal.RefusesToken():
		outcome = store.OutcomeHeld
	}
	a.logger.WarnContext(ctx, "LINE did not take a batch yet", slog.String("conversation", b.ConversationID), slog.String("batch", b.ID),
		slog.String("kind", b.Kind), slog.Int64("attempt", b.Attempts), slog.String("outcome", outcome), slog.Any("error", refusal))
	return a.store.NoteAttempt(ctx, b, outcome, wordsOf(refusal))
}

// measure counts a finished batch and its messages.
func (a *Activities) measure(b *store.Batch, end *store.BatchEnd) {
	a.metrics.Batch(b.Kind, end.State)
	var ids []string
	if json.Unmarshal([]byte(b.MessageIDs), &ids) != nil {
		return // it was read a moment ago
	}
	n := len(ids)
	if len(end.Refused) > 0 {
		n = len(end.Refused) // the others go again
	}
	if end.State != store.BatchDissolved {
		a.metrics.Messages(b.Kind, end.State, n)
	}
	switch {
	case end.State != store.BatchAccepted:
	case b.TokenReceivedAt > 0:
		a.metrics.Replied(a.tokenAge(b))
	default:
		a.quotas.pushed(b.ChannelID, b.Recipients, a.now())
	}
}

// notSent is what agents are told of a message that failed, "" when that is
// switched off. The message says itself that it failed, so that nothing waits
// for these words.
func (a *Activities) notSent(ctx context.Context, b *store.Batch) string {
	conv, err := a.store.Conversation(ctx, b.ConversationID)
	if err != nil {
		return ""
	}
	plan, err := a.plans.get(ctx, b.ChannelID)
	if err != nil {
		return ""
	}
	drafts, err := a.drafts(ctx, plan, conv, automessage.MessageNotSent, "")
	if err != nil || len(drafts) == 0 {
		return ""
	}
	return drafts[0].Content.Text
}

// askAgainAtOnce tells whether a batch is tried again without a wait: a reply
// of which nobody knows whether it arrived. While its token is alive, asking
// again tells.
func askAgainAtOnce(b *store.Batch, refusal *line.Error) bool {
	return b.Kind == string(conversation.ViaReply) && b.Attempts == 1 && refusal.Ambiguous()
}

// later has Temporal run the lane again after a wait that grows from half a
// second to ten, is no shorter than asked for, and ends when the batch's time does.
func (a *Activities) later(b *store.Batch, refusal *line.Error) error {
	wait := max(min(500*time.Millisecond<<min(b.Attempts-1, 6), 10*time.Second), refusal.RetryAfter)
	left := time.UnixMicro(b.Deadline).Sub(a.now())
	if b.Kind == string(conversation.ViaReply) {
		left = min(left, replyRetryWindow-a.tokenAge(b))
	}
	return temporal.NewApplicationErrorWithOptions("LINE did not take the batch yet", refusal.Code(), temporal.ApplicationErrorOptions{
		Cause: refusal, NextRetryDelay: max(min(wait, left), 10*time.Millisecond), Category: temporal.ApplicationErrorCategoryBenign,
	})
}

func (a *Activities) tokenAge(b *store.Batch) time.Duration {
	return a.now().Sub(time.UnixMicro(b.TokenReceivedAt))
}

// attempt makes one attempt of a batch, a quick one for quickCall at most. It
// returns the batch's end, or LINE's refusal after which the batch may be tried
// again. by becomes by what it spoke to LINE.
func (a *Activities) attempt(ctx context.Context, b *store.Batch, quick bool, by *voice) (*store.BatchEnd, *line.Error, error) {
	if end := a.lapsed(b); end != nil {
		return end, nil, nil
	}
	plan, err := a.plans.get(ctx, b.ChannelID)
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		return unsent(b.Doubt, store.BatchEnd{Failure: failureChannelGone, Detail: "The channel was deleted."}), nil, nil
	}
	if err != nil {
		return nil, nil, final(err)
	}
	var messages []json.RawMessage
	if err := json.Unmarshal([]byte(b.Body), &messages); err != nil {
		return nil, nil, fmt.Errorf("body of batch %s: %w", b.ID, err)
	}
	if !a.rates.May(ctx, b.ChannelID, b.Kind) {
		return nil, callrate.TooFast(b.Kind), nil
	}
	reply := b.Kind == string(conversation.ViaReply)
	limit := tokenLife // the client gives up sooner by itself
	if reply {
		limit -= a.tokenAge(b)
	}
	if quick {
		limit = min(limit, quickCall)
	}
	call, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var refusal *line.Error
	by.channel = plan.Channel
	client, token, err := a.tokens.As(call, plan.Channel)
	if errors.As(err, &refusal) {
		return nil, refusal, nil
	}
	by.token = token
	over := a.pace.begin()
	var sent line.Sent
	if reply {
		sent, err = client.Reply(call, b.ReplyToken, messages)
	} else {
		sent, err = client.Push(call, b.Recipient, conversation.RetryKey(b.ID), messages)
	}
	over(answered(err))
	failpoint.Hit("send.after_answer")
	if err == nil {
		end := &store.BatchEnd{State: store.BatchAccepted, LINERequestID: sent.RequestID, AcceptedRequestID: sent.AcceptedRequestID}
		for _, m := range sent.Messages {
			end.Sent = append(end.Sent, store.SentMessage{ID: m.ID, QuoteToken: m.QuoteToken})
		}
		return end, nil, nil
	}
	if !errors.As(err, &refusal) {
		return nil, nil, err
	}
	if refusal.RefusesToken() {
		return nil, refusal, nil
	}
	end := a.refused(ctx, client, b, refusal, len(messages))
	if end != nil && end.State == store.BatchFailed && end.Failure == failureQuota {
		// What was ever in doubt is not sent a second time, settled or not.
		end.Keep = !b.Doubt && plan.Workstream.Settings.Sending.WhenSpent == store.SpentHold
	}
	return end, refusal, nil
}

// lapsed is the end of a batch that LINE must not, or need not, be asked for
// any more; nil while it may.
func (a *Activities) lapsed(b *store.Batch) *store.BatchEnd {
	reply := b.Kind == string(conversation.ViaReply)
	now := a.now()
	switch {
	case reply && a.tokenAge(b) >= replyRetryWindow && b.Doubt:
		return unsent(b.Doubt, store.BatchEnd{Failure: failureNoAnswer, Detail: b.Detail})
	case reply && a.tokenAge(b) >= replyRetryWindow:
		return &store.BatchEnd{State: store.BatchDissolved, Detail: b.Detail}
	case reply || b.Attempts == 1:
		return nil
	case b.Doubt && now.Sub(time.UnixMicro(b.CreatedAt)) >= retryKeyLife:
		return unsent(b.Doubt, store.BatchEnd{Failure: failureNoAnswer, Detail: b.Detail})
	case b.Interrupted:
		// It was our side that was away. Asking once more sends the message, or
		// tells that it was sent.
		return nil
	case now.UnixMicro() >= b.Deadline:
		return unsent(b.Doubt, store.BatchEnd{Failure: failureOutOfTime, Detail: b.Detail})
	}
	return nil
}

// refused is what LINE's refusal of an attempt means for the batch: its end, or
// nil when it may be tried again.
func (a *Activities) refused(ctx context.Context, client *line.Client, b *store.Batch, refusal *line.Error, messages int) *store.BatchEnd {
	class := a.exactly(ctx, client, b, refusal)
	end := store.BatchEnd{LINERequestID: refusal.RequestID, Failure: "line_" + string(class), Detail: wordsOf(refusal)}
	inDoubt := b.Doubt && !settles(b, refusal, class)
	switch class {
	case line.ClassRateLimited, line.ClassTooManyToUser, line.ClassServer, line.ClassNoAnswer:
		return nil
	case line.ClassInvalidReplyToken:
		switch {
		case !inDoubt:
			end.State, end.Failure = store.BatchDissolved, ""
			return &end
		case a.tokenAge(b) < tokenLife:
			// The token is alive, so it was an earlier attempt of this batch that
			// used it.
			return &store.BatchEnd{State: store.BatchAccepted, LINERequestID: refusal.RequestID}
		}
	case line.ClassRefused:
		if !inDoubt {
			end.Refused = refusedMessages(refusal, messages)
		}
	}
	return unsent(inDoubt, end)
}

// exactly is the class of a refusal, after a look at the quota where only that
// tells. A reply is free, so that its 429 is never the quota's.
func (a *Activities) exactly(ctx context.Context, client *line.Client, b *store.Batch, refusal *line.Error) line.Class {
	switch class := refusal.Class; class {
	case line.ClassQuota, line.ClassRateLimited, line.ClassTooManyToUser:
		if b.Kind == string(conversation.ViaReply) {
			return line.ClassRateLimited
		}
	default:
		return class
	}
	ctx, cancel := context.WithTimeout(ctx, quotaTime)
	defer cancel()
	asked := a.now()
	class, quota, err := client.Classify429(ctx, refusal, b.Recipients)
	if err == nil {
		_, err = a.keepQuota(ctx, b.ChannelID, quota, asked)
	}
	if err != nil {
		a.logger.WarnContext(ctx, "the quota was not asked for", slog.String("channel", b.ChannelID), slog.Any("error", err))
	}
	return class
}

// settles tells whether a refusal of one attempt says that LINE took none of
// those before: LINE answers 409 to a push whose retry key it has accepted, so
// one that it calls too much for the month's quota is one that it has not taken.
// Of who asks, and how often, it may speak before it looks at the key.
//
// Source: https://developers.line.biz/en/docs/messaging-api/retrying-api-request/
func settles(b *store.Batch, refusal *line.Error, class line.Class) bool {
	return b.Kind == string(conversation.ViaPush) && refusal.Class == line.ClassQuota && class == line.ClassQuota
}

// unsent completes the end of a batch that will not be tried again and of which
// no attempt was accepted, as far as is known. If an earlier one may have been,
// a refusal of the last one does not make it undone.
func unsent(inDoubt bool, end store.BatchEnd) *store.BatchEnd {
	said := "LINE did not take the message in time."
	end.State = store.BatchFailed
	if inDoubt {
		end.State = store.BatchUncertain
		said = "LINE did not say whether it took the message."
	}
	if end.Detail == "" {
		end.Detail = said
	}
	return &end
}

var (
	refusedProperty = regexp.MustCompile(`^messages\[(\d+)\]`)
	// refusedMessage is how LINE names one message as a whole: details, if there are
	// any, are within it, and of a Flex Message begin with a slash.
	refusedMessage = regexp.MustCompile(`^A message \(messages\[(\d+)\]\)`)
)

// refusedMessages are the places of the messages LINE complains of, if it names
// some of the batch and not all.
func refusedMessages(refusal *line.Error, messages int) []int {
	named := []string{refusal.Message}
	shape := refusedMessage
	if !shape.MatchString(refusal.Message) {
		named, shape = nil, refusedProperty
		for _, d := range refusal.Details {
			named = append(named, d.Property)
		}
	}
	var places []int
	for _, name := range named {
		m := shape.FindStringSubmatch(name)
		if m == nil {
			return nil // it complains of something else, too
		}
		place, err := strconv.Atoi(m[1])
		if err != nil || place >= messages {
			return nil
		}
		if !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	if len(places) == messages {
		return nil
	}
	return places
}

// wordsOf is LINE's reason, for people.
func wordsOf(refusal *line.Error) string {
	said := refusal.Message
	for _, d := range refusal.Details {
		said += " [" + d.Property + ": " + d.Message + "]"
	}
	switch {
	case said != "":
		return said
	case refusal.Status != 0:
		return fmt.Sprintf("LINE answered with status %d.", refusal.Status)
	}
	return "LINE did not answer."
}

// lineError tells Temporal whether a failed call to LINE may be tried again.
func lineError(err error) error {
	var refusal *line.Error
	if errors.As(err, &refusal) && !refusal.Retryable() {
		return temporal.NewApplicationErrorWithOptions(refusal.Message, refusal.Code(), temporal.ApplicationErrorOptions{
			NonRetryable: true, Cause: err, Category: temporal.ApplicationErrorCategoryBenign,
		})
	}
	return err
}
