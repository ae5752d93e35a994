package outcome

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kaiwa/internal/linesim"
	"kaiwa/internal/reconcile"
	"kaiwa/internal/store"
)

// collectTries is how often Collect begins anew when something happens while
// it reads.
const collectTries = 5

// ErrMoving is returned when something went on happening while an outcome was
// read, so that its parts would not fit together.
var ErrMoving = errors.New("something happens all the time: an outcome is read when all has settled")

// Collect reads the outcome. Everything in it is of one moment: when something
// happens meanwhile it reads again. In the end it returns what it read last, and
// ErrMoving.
func Collect(ctx context.Context, s Sources) (*Outcome, error) {
	var o *Outcome
	for range collectTries {
		before, err := s.Store.Underway(ctx)
		if err != nil {
			return nil, err
		}
		if o, err = collect(ctx, s); err != nil {
			return nil, err
		}
		after, err := s.Store.Underway(ctx)
		if err != nil {
			return nil, err
		}
		if before == after {
			return o, nil
		}
	}
	return o, ErrMoving
}

func collect(ctx context.Context, s Sources) (*Outcome, error) {
	o := &Outcome{At: time.Now().UnixMicro()}
	if s.Deeds != nil {
		o.Deeds = *s.Deeds
	}
	var err error
	if o.LINE, err = collectLINE(ctx, s.Simulator); err != nil {
		return nil, fmt.Errorf("read the simulator's record: %w", err)
	}
	if o.Database, err = collectDatabase(ctx, s.Store); err != nil {
		return nil, err
	}
	if o.Temporal.Runs, err = s.runs(ctx); err != nil {
		return nil, err
	}
	r := &reconcile.Reconciler{Store: s.Store, Temporal: s.Temporal, Namespace: s.namespace(), Settled: time.Nanosecond}
	if o.Reconciler, err = r.Reconcile(ctx, false); err != nil {
		return nil, fmt.Errorf("reconcile: %w", err)
	}
	return o, nil
}

func collectDatabase(ctx context.Context, s *store.Store) (d Database, err error) {
	walk(ctx, s, &err, &d.Channels, "channels", "id")
	walk(ctx, s, &err, &d.Workstreams, "workstreams", "id")
	walk(ctx, s, &err, &d.Surveys, "surveys", "id")
	walk(ctx, s, &err, &d.Agents, "agents", "id")
	walk(ctx, s, &err, &d.AgentSkills, "agent_skills", "agent_id", "skill_id")
	walk(ctx, s, &err, &d.Queues, "queues", "id")
	walk(ctx, s, &err, &d.Members, "queue_members", "queue_id", "agent_id")
	walk(ctx, s, &err, &d.Profiles, "social_profiles", "id")
	walk(ctx, s, &err, &d.LINEEvents, "line_events", "id")
	walk(ctx, s, &err, &d.Conversations, "conversations", "id")
	walk(ctx, s, &err, &d.Sessions, "sessions", "id")
	walk(ctx, s, &err, &d.Transitions, "transitions", "id")
	walk(ctx, s, &err, &d.Turns, "bot_turns", "id")
	walk(ctx, s, &err, &d.Messages, "messages", "id")
	walk(ctx, s, &err, &d.Batches, "batches", "id")
	walk(ctx, s, &err, &d.Offers, "offers", "id")
	walk(ctx, s, &err, &d.RoutingLog, "routing_log", "id")
	walk(ctx, s, &err, &d.Invitations, "survey_invitations", "id")
	walk(ctx, s, &err, &d.Attachments, "attachments", "id")
	walk(ctx, s, &err, &d.Consents, "consents", "id")
	walk(ctx, s, &err, &d.Events, "events", "id")
	return d, err
}

func walk[T any](ctx context.Context, s *store.Store, err *error, to *[]T, table string, key ...string) {
	if *err == nil {
		*to, *err = store.Walk[T](ctx, s, table, key...)
	}
}

func collectLINE(ctx context.Context, sim *linesim.Simulator) (LINE, error) {
	var l LINE
	var err error
	if l.Webhooks, err = webhooks(sim.Deliveries(linesim.DeliveryFilter{})); err != nil {
		return l, err
	}
	l.Calls = calls(sim.Calls(linesim.CallFilter{}))
	chats, err := sim.Chats(ctx)
	if err != nil {
		return l, err
	}
	for _, c := range chats {
		shown, err := sim.Chat(ctx, c.ChannelID, c.ChatID)
		if err != nil {
			return l, err
		}
		for _, m := range shown {
			l.Phones = append(l.Phones, Bubble{
				Chat: Chat{m.ChannelID, m.ChatID}, ID: m.ID, Customer: m.Direction == "customer", TimeMS: m.At.UnixMilli(), Type: m.Type, Text: m.Text(),
				RequestID: m.RequestID, EventID: m.EventID, Unsent: m.Unsent,
			})
		}
	}
	for _, c := range sim.Channels() {
		blocked, err := sim.Blocked(ctx, c.ID)
		if err != nil {
			return l, err
		}
		for _, user := range blocked {
			l.Blocked = append(l.Blocked, Chat{c.ID, user})
		}
	}
	return l, nil
}

// webhooks gathers what became of each event, in the order in which they were
// first delivered. Bodies that carry no event of the outbox are left out.
func webhooks(deliveries []linesim.Delivery) ([]Webhook, error) {
	var all []Webhook
	at := map[string]int{}
	for _, d := range deliveries {
		if d.Test {
			continue
		}
		var body struct {
			Events []struct {
				Type           string `json:"type"`
				WebhookEventID string `json:"webhookEventId"`
				Timestamp      int64  `json:"timestamp"`
				Mode           string `json:"mode"`
				Source         struct {
					UserID  string `json:"userId"`
					GroupID string `json:"groupId"`
					RoomID  string `json:"roomId"`
				} `json:"source"`
				Message struct {
					ID   string `json:"id"`
					Type string `json:"type"`
					Text string `json:"text"`
					// Of a location, and of a file.
					Title    string `json:"title"`
					Address  string `json:"address"`
					FileName string `json:"fileName"`
				} `json:"message"`
				Postback struct {
					Data string `json:"data"`
				} `json:"postback"`
				Unsend struct {
					MessageID string `json:"messageId"`
				} `json:"unsend"`
			} `json:"events"`
		}
		if err := json.Unmarshal([]byte(d.Body), &body); err != nil {
			return nil, fmt.Errorf("body of a delivery: %w", err)
		}
		for _, e := range body.Events {
			i, ok := at[e.WebhookEventID]
			if !ok {
				i = len(all)
				at[e.WebhookEventID] = i
				chat := e.Source.UserID
				if e.Source.GroupID != "" {
					chat = e.Source.GroupID
				} else if e.Source.RoomID != "" {
					chat = e.Source.RoomID
				}
				words := slices.DeleteFunc([]string{e.Message.Text, e.Message.Title, e.Message.Address, e.Message.FileName}, func(s string) bool { return s == "" })
				if e.Message.Type == "sticker" {
					words = nil // a sticker's words are not the customer's
				}
				all = append(all, Webhook{
					Chat: Chat{d.ChannelID, chat}, EventID: e.WebhookEventID, Kind: e.Type, TimeMS: e.Timestamp,
					MessageID: e.Message.ID, Type: e.Message.Type, Text: strings.Join(words, ", "),
					Postback: e.Postback.Data, Unsent: e.Unsend.MessageID, Standby: e.Mode == "standby",
				})
			}
			all[i].Attempts++
			all[i].Answers = append(all[i].Answers, d.Status)
		}
	}
	return all, nil
}

// calls picks the calls that send messages.
func calls(all []linesim.Call) []Call {
	var out []Call
	for _, c := range all {
		if c.Endpoint != "reply" && c.Endpoint != "push" && c.Endpoint != "multicast" {
			continue
		}
		call := Call{
			Chat: Chat{c.ChannelID, c.To}, RequestID: c.RequestID, At: c.At.UnixMicro(), Via: c.Endpoint, RetryKey: c.RetryKey, Status: c.Status,
			Accepted: c.Accepted, AcceptedBy: c.AcceptedRequestID, OtherBody: c.OtherBody,
		}
		var asked struct {
			ReplyToken string          `json:"replyToken"`
			Messages   json.RawMessage `json:"messages"`
		}
		var answered struct {
			SentMessages []struct {
				ID string `json:"id"`
			} `json:"sentMessages"`
		}
		if err := json.Unmarshal(c.Body, &asked); err == nil { // one that is no JSON was refused
			call.ReplyToken, call.Messages = asked.ReplyToken, asked.Messages
		}
		// A fault may have answered something else for a call that was accepted.
		if err := json.Unmarshal(c.Response, &answered); err == nil && c.Accepted {
			for _, m := range answered.SentMessages {
				call.MessageIDs = append(call.MessageIDs, m.ID)
			}
		}
		out = append(out, call)
	}
	return out
}
