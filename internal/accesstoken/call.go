package accesstoken

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

// ErrHeld is a call of a channel that LINE does not let speak: it is held until
// LINE takes its access token again. See store.HoldChannel.
var ErrHeld = errors.New("LINE does not take the channel's access token")

// Weight is what LINE's refusal of an access token comes to.
type Weight int

// The weights of a refusal.
const (
	Outdated Weight = iota // the channel has another one by now, or can have one at once
	Strange                // LINE takes it elsewhere: this endpoint is in trouble
	Held                   // LINE does not know it, and the channel has no other: it is held
)

// weighTime bounds the question to LINE, and the note of its answer.
const weighTime = 10 * time.Second

// Weigh tells what a refusal of a token means for the channel that spoke by it,
// as it was read then; token is "" when none was to be had. LINE is asked once
// more, by the cheapest call there is, before the channel is held.
func (k *Keeper) Weigh(ctx context.Context, s *store.Store, spoke store.Channel, token string, refusal *line.Error) (Weight, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), weighTime)
	defer cancel()
	if k.Another(spoke, token) {
		return Outdated, nil
	}
	if token != "" {
		if _, err := k.line.As(token).BotInfo(ctx); err == nil || !refusesToken(err) {
			return Strange, nil
		}
	}
	held, err := s.HoldChannel(ctx, spoke, Words(refusal))
	if err != nil || !held {
		return Outdated, err
	}
	return Held, nil
}

func refusesToken(err error) bool {
	var e *line.Error
	return errors.As(err, &e) && e.RefusesToken()
}

// Call makes a call to LINE as a channel, and heeds what LINE says of its access
// token. The call is made again when the channel has another one by now. When
// LINE knows none of them the channel is held and the error is ErrHeld, beside
// LINE's own; one endpoint's refusal of a good token is trouble of LINE's
// (line.ClassServer), which may pass.
func (k *Keeper) Call(ctx context.Context, s *store.Store, c store.Channel, call func(*line.Client) error) error {
	for again := false; ; again = true {
		client, token, err := k.As(ctx, c)
		if err == nil {
			err = call(client)
		}
		var refusal *line.Error
		if !errors.As(err, &refusal) || !refusal.RefusesToken() {
			return err
		}
		weight, failed := k.Weigh(ctx, s, c, token, refusal)
		switch {
		case failed != nil:
			return fmt.Errorf("%w, after %v", failed, err) // not LINE's refusal: nothing follows from that yet
		case weight == Held:
			return fmt.Errorf("%w: %w", ErrHeld, err)
		case weight == Strange || again: // replaced twice within a call
			return refusal.AsTrouble()
		}
		if c, err = s.Channel(ctx, c.ID); err != nil {
			return err
		}
	}
}
