package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/temporal"

	"kaiwa/internal/conversation"
	"kaiwa/internal/failpoint"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// SendInput names the conversation whose lane is to be emptied.
type SendInput struct {
	ConversationID string `json:"conversation_id"`
}

// SendOutput counts what became of batches.
type SendOutput struct {
	Accepted  int  `json:"accepted,omitempty"`
	Failed    int  `json:"failed,omitempty"`
	Uncertain int  `json:"uncertain,omitempty"`
	More      bool `json:"more,omitempty"` // the activity's time is up; messages remain
}

const (
	// tokenLife is how long after its receipt a reply token is taken to be
	// alive when an answer to a repeated reply is judged. LINE says a minute;
	// what is nearer to it than this nobody can tell.
	tokenLife = 55 * time.Second
	// replyRetryWindow is how old a token may be for a reply in doubt to be
	// repeated: the repetition has to arrive within its life.
	replyRetryWindow = 45 * time.Second
	// sendTime is how long one activity works off batches before it lets
	// another go on, so that an attempt stays well under its time-out.
	sendTime = 15 * time.Second
)

// Send works off the lane of one conversation: it freezes what is ready into
// batches and brings them to LINE one after the other, in order, until nothing
// waits. It writes LINE's answers itself. While LINE is away it fails in a way
// that Temporal retries; a batch's own deadline, not a number of tries, ends it.
func (a *Activities) Send(ctx context.Context, in SendInput) (SendOutput, error) {
	var out SendOutput
	until := a.now().Add(sendTime)
	for a.now().Before(until) {
		b, err := a.store.NextBatch(ctx, in.ConversationID, line.Render)
		if err != nil {
			return out, final(err)
		}
		if b == nil {
			return out, nil
		}
		end, err := a.attempt(ctx, b)
		if err != nil {
			return out, err
		}
		if err := a.store.FinishBatch(ctx, b, *end); err != nil {
			return out, final(err)
		}
		switch end.State {
		case store.BatchAccepted:
			out.Accepted++
		case store.BatchFailed:
			out.Failed++
		case store.BatchUncertain:
			out.Uncertain++
		}
	}
	out.More = true
	return out, nil
}

// attempt brings a batch to LINE until its fate is known. It returns an error
// when that has to be found out later; what is known so far is stored then.
func (a *Activities) attempt(ctx context.Context, b *store.Batch) (*store.BatchEnd, error) {
	plan, err := a.plans.get(ctx, b.ChannelID)
	if err != nil {
		return nil, final(err)
	}
	client := a.line.As(plan.Channel.Token)
	for {
		if b.Attempts > 1 && a.now().UnixMicro() > b.Deadline {
			return outOfTime(b), nil
		}
		end, err := a.call(ctx, client, b)
		if end != nil {
			return end, nil
		}
		outcome := store.OutcomeNotTaken
		var refusal *line.Error
		if errors.As(err, &refusal) && refusal.Ambiguous() {
			outcome, b.Doubt = store.OutcomeUnclear, true
		}
		a.logger.WarnContext(ctx, "LINE did not take a batch yet", slog.String("conversation", b.ConversationID),
			slog.String("batch", b.ID), slog.String("kind", b.Kind), slog.Int64("attempt", b.Attempts), slog.String("outcome", outcome), slog.Any("error", err))
		if err := a.store.NoteAttempt(ctx, b.ID, outcome, err.Error()); err != nil {
			return nil, final(err)
		}
		if b.Kind == string(conversation.ViaReply) && b.Doubt && b.Attempts == 1 && a.tokenAge(b) < replyRetryWindow {
			// The token is alive: asking again at once tells whether the first
			// attempt arrived.
			again, err := a.store.NextBatch(ctx, b.ConversationID, line.Render)
			if err != nil {
				return nil, final(err)
			}
			if again == nil || again.ID != b.ID {
				return nil, fmt.Errorf("batch %s was finished elsewhere", b.ID)
			}
			*b = *again
			continue
		}
		if b.Kind == string(conversation.ViaReply) && a.tokenAge(b) >= replyRetryWindow {
			if b.Doubt {
				return &store.BatchEnd{State: store.BatchUncertain, Failure: "line_no_answer", Detail: err.Error()}, nil
			}
			return &store.BatchEnd{State: store.BatchDissolved, Detail: err.Error()}, nil
		}
		return nil, temporal.NewApplicationErrorWithOptions("LINE did not take the batch yet", outcome, temporal.ApplicationErrorOptions{
			Cause: err, NextRetryDelay: retryDelay(b.Attempts), Category: temporal.ApplicationErrorCategoryBenign,
		})
	}
}

func (a *Activities) tokenAge(b *store.Batch) time.Duration {
	return a.now().Sub(time.UnixMicro(b.TokenReceivedAt))
}

// retryDelay grows from half a second to ten.
func retryDelay(attempts int64) time.Duration {
	return min(500*time.Millisecond<<min(attempts-1, 6), 10*time.Second)
}

// outOfTime is the end of a batch whose budget is used up.
func outOfTime(b *store.Batch) *store.BatchEnd {
	if b.Doubt {
		return &store.BatchEnd{State: store.BatchUncertain, Failure: "out_of_time", Detail: "LINE did not say whether it took the message."}
	}
	return &store.BatchEnd{State: store.BatchFailed, Failure: "out_of_time", Detail: "LINE did not take the message in time."}
}

// call makes one attempt. It returns the batch's end, or the error after which
// the batch may be tried again.
func (a *Activities) call(ctx context.Context, client *line.Client, b *store.Batch) (*store.BatchEnd, error) {
	var messages []json.RawMessage
	if err := json.Unmarshal([]byte(b.Body), &messages); err != nil {
		return nil, fmt.Errorf("body of batch %s: %w", b.ID, err)
	}
	fresh := a.tokenAge(b) < tokenLife // judged before the call: the answer may come late
	var sent line.Sent
	var err error
	if b.Kind == string(conversation.ViaReply) {
		sent, err = client.Reply(ctx, b.ReplyToken, messages)
	} else {
		sent, err = client.Push(ctx, b.Recipient, conversation.RetryKey(b.ID), messages)
	}
	failpoint.Hit("send.after_answer")
	if err == nil {
		return &store.BatchEnd{
			State: store.BatchAccepted, LINERequestID: sent.RequestID, AcceptedRequestID: sent.AcceptedRequestID, LINEMessageIDs: sent.MessageIDs,
		}, nil
	}
	var refusal *line.Error
	if !errors.As(err, &refusal) {
		return nil, err
	}
	class := refusal.Class
	if class == line.ClassQuota || class == line.ClassRateLimited {
		if exact, asked := client.Classify429(ctx, err); asked == nil {
			class = exact
		}
	}
	failed := &store.BatchEnd{State: store.BatchFailed, LINERequestID: refusal.RequestID, Failure: refusal.Code(), Detail: refusal.Message}
	switch class {
	case line.ClassInvalidReplyToken:
		switch {
		case !b.Doubt:
			return &store.BatchEnd{State: store.BatchDissolved, LINERequestID: refusal.RequestID, Detail: refusal.Message}, nil
		case fresh:
			// The token was alive, so it was this batch's first attempt that used it.
			return &store.BatchEnd{State: store.BatchAccepted, LINERequestID: refusal.RequestID}, nil
		default:
			return &store.BatchEnd{State: store.BatchUncertain, LINERequestID: refusal.RequestID, Failure: refusal.Code(), Detail: refusal.Message}, nil
		}
	case line.ClassRateLimited, line.ClassServer, line.ClassNoAnswer:
		return nil, err
	case line.ClassQuota:
		failed.Failure = "line_quota"
		return failed, nil
	}
	return failed, nil
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
