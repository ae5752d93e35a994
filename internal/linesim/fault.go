package linesim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// FaultKind is what goes wrong.
type FaultKind string

// Faults of API calls. Endpoint is one of Endpoints(), or "" for all.
const (
	// FaultStatus answers with Status (default 500) and Body. With
	// AfterProcessing the call was carried out all the same.
	FaultStatus FaultKind = "status"
	// FaultDropAnswer carries the call out and cuts the connection unanswered.
	FaultDropAnswer FaultKind = "drop_answer"
	// FaultDropRequest cuts the connection with nothing carried out.
	FaultDropRequest FaultKind = "drop_request"
	// FaultSlow waits Delay before carrying out, or with AfterProcessing
	// between carrying out and answering. A client that gives up meanwhile
	// does not stop the call from being carried out.
	FaultSlow FaultKind = "slow"
	// FaultRateLimit answers 429 as LINE does above its rate limits.
	FaultRateLimit FaultKind = "rate_limit"
)

// Faults of webhook deliveries: Endpoint is "webhook". FaultDropAnswer there
// means that the bot's answer never reached LINE, which takes the delivery for
// failed.
const (
	// FaultDuplicate POSTs the same body Copies more times (default 1).
	FaultDuplicate FaultKind = "duplicate"
	// FaultDelay lets Delay pass before the delivery; later events overtake it.
	FaultDelay FaultKind = "delay"
	// FaultLose never delivers the event.
	FaultLose FaultKind = "lose"
)

// WebhookEndpoint is the Endpoint of delivery faults.
const WebhookEndpoint = "webhook"

// Fault is one thing that goes wrong, for a number of calls, for a time, or
// (neither given) until ResetFaults.
type Fault struct {
	// ID names it for RemoveFault; made when empty.
	ID   string    `json:"id"`
	Kind FaultKind `json:"kind"`
	// Endpoint is a name from Endpoints(), "webhook", or "" for every API endpoint.
	Endpoint string `json:"endpoint,omitempty"`
	// ChannelID and UserID narrow it down. UserID only works for webhooks.
	ChannelID string `json:"channel_id,omitempty"`
	UserID    string `json:"user_id,omitempty"`
	// Skip lets that many matching calls through first.
	Skip int `json:"skip,omitempty"`
	// Times is how many calls it hits; 0 is no limit.
	Times int `json:"times,omitempty"`
	// ForMS is how long it lasts, in milliseconds of the simulator's clock.
	ForMS int64 `json:"for_ms,omitempty"`

	Status          int             `json:"status,omitempty"`
	Body            json.RawMessage `json:"body,omitempty"`
	DelayMS         int64           `json:"delay_ms,omitempty"`
	AfterProcessing bool            `json:"after_processing,omitempty"`
	Copies          int             `json:"copies,omitempty"`
	// Hits is how often it struck; the simulator counts it.
	Hits int `json:"hits"`
}

func (f Fault) delay() time.Duration { return time.Duration(f.DelayMS) * time.Millisecond }

func (f Fault) check() error {
	webhookOnly := []FaultKind{FaultDuplicate, FaultDelay, FaultLose}
	apiOnly := []FaultKind{FaultStatus, FaultDropRequest, FaultSlow, FaultRateLimit}
	switch {
	case !slices.Contains(slices.Concat(webhookOnly, apiOnly, []FaultKind{FaultDropAnswer}), f.Kind):
		return fmt.Errorf("fault kind %q is unknown", f.Kind)
	case f.Endpoint == WebhookEndpoint && slices.Contains(apiOnly, f.Kind):
		return fmt.Errorf("fault kind %q does not apply to webhooks", f.Kind)
	case f.Endpoint != WebhookEndpoint && slices.Contains(webhookOnly, f.Kind):
		return fmt.Errorf("fault kind %q applies to endpoint %q only", f.Kind, WebhookEndpoint)
	case f.Endpoint != "" && f.Endpoint != WebhookEndpoint && !slices.Contains(Endpoints(), f.Endpoint):
		return fmt.Errorf("endpoint %q is unknown; the endpoints are %v", f.Endpoint, Endpoints())
	case f.Endpoint != WebhookEndpoint && f.UserID != "":
		return fmt.Errorf("user_id narrows down faults of endpoint %q only", WebhookEndpoint)
	}
	return nil
}

type activeFault struct {
	Fault
	until time.Time
	seen  int
}

type faultSet struct {
	mu   sync.Mutex
	list []*activeFault
	made int
}

func newFaultSet() *faultSet { return &faultSet{} }

// Faults arranges for things to go wrong, in addition to what is already
// arranged. Several that match one call all apply: waits add up, and the first
// other one decides. It returns the faults' ids.
func (s *Simulator) Faults(faults ...Fault) ([]string, error) {
	for _, f := range faults {
		if err := f.check(); err != nil {
			return nil, err
		}
	}
	fs := s.faults
	fs.mu.Lock()
	defer fs.mu.Unlock()
	ids := make([]string, len(faults))
	for i, f := range faults {
		fs.made++
		if f.ID == "" {
			f.ID = "fault-" + strconv.Itoa(fs.made)
		}
		a := &activeFault{Fault: f}
		if f.ForMS > 0 {
			a.until = s.now().Add(time.Duration(f.ForMS) * time.Millisecond)
		}
		fs.list = append(fs.list, a)
		ids[i] = f.ID
	}
	return ids, nil
}

// ActiveFaults lists the faults that are not used up.
func (s *Simulator) ActiveFaults() []Fault {
	fs := s.faults
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.prune(s.now())
	out := make([]Fault, len(fs.list))
	for i, a := range fs.list {
		out[i] = a.Fault
	}
	return out
}

// RemoveFault ends one fault, and tells whether there was one with that id.
func (s *Simulator) RemoveFault(id string) bool {
	fs := s.faults
	fs.mu.Lock()
	defer fs.mu.Unlock()
	before := len(fs.list)
	fs.list = slices.DeleteFunc(fs.list, func(a *activeFault) bool { return a.ID == id })
	return len(fs.list) < before
}

// ResetFaults ends all faults, and releases what is held, in order.
func (s *Simulator) ResetFaults() {
	s.faults.mu.Lock()
	s.faults.list = nil
	s.faults.mu.Unlock()
	s.outbox.releaseAll()
}

func (fs *faultSet) prune(now time.Time) {
	fs.list = slices.DeleteFunc(fs.list, func(a *activeFault) bool {
		return (a.Times > 0 && a.Hits >= a.Times) || (!a.until.IsZero() && !now.Before(a.until))
	})
}

// take gives the faults that strike this call, and counts them as used.
func (fs *faultSet) take(now time.Time, endpoint, channelID, userID string) []Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if len(fs.list) == 0 {
		return nil
	}
	fs.prune(now)
	var out []Fault
	for _, a := range fs.list {
		covers := a.Endpoint == endpoint || (a.Endpoint == "" && endpoint != WebhookEndpoint)
		if !covers || (a.ChannelID != "" && a.ChannelID != channelID) || (a.UserID != "" && a.UserID != userID) {
			continue
		}
		if a.seen++; a.seen <= a.Skip {
			continue
		}
		a.Hits++
		out = append(out, a.Fault)
	}
	return out
}
