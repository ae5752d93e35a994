package bench

import (
	"context"
	"fmt"
	"net/http"

	"kaiwa/internal/linesim"
)

// botAnswer is scenario 2: from the webhook to LINE's acceptance of the answer
// of a bot that is a script.
func (r *run) botAnswer(ctx context.Context) error {
	chats := r.botted[:r.size.lanes]
	if err := r.compare(ctx, 2, "one at a time", "answers/s", r.size.rounds, ratioAtLeast(0.7), nil,
		r.answeredOneAtATime(chats, r.size.oneEach), r.bare.oneAtATime(r.regular, r.size.oneEach)); err != nil {
		return err
	}
	if err := r.compare(ctx, 2, "flood", "answers/s", r.size.rounds, ratioAtLeast(1.5), nil,
		r.answeredFlood(chats, r.size.floodEach), r.bare.flood(r.regular, r.size.floodEach)); err != nil {
		return err
	}
	const rate = 50
	r.o.Progress(fmt.Sprintf("2 latency at %d/s", rate))
	arrivals := Arrivals(r.seed(2), rate, r.size.latencyFor)
	texts := r.numbered("c")
	hooks, err := r.office.drafts(ctx, r.botted, 1+len(arrivals)/len(r.botted), texts)
	if err != nil {
		return err
	}
	defer r.watchProcessor(2, fmt.Sprintf("answer at %d/s", rate))()
	load, err := Open(ctx, arrivals, func(ctx context.Context, n int) error {
		i, k := n%len(r.botted), n/len(r.botted)
		return r.askBot(ctx, r.botted[i], hooks[i][k], texts(i*len(hooks[i])+k))
	})
	if err != nil {
		return err
	}
	r.latency(2, fmt.Sprintf("answer at %d/s", rate), load.Latencies, 0.5, atMost(60))
	r.latency(2, fmt.Sprintf("answer at %d/s", rate), load.Latencies, 0.99, atMost(500))
	return nil
}

// numbered makes texts that the echo answers, and that tell one from another;
// the same number gives the same text.
func (r *run) numbered(letter string) func(i int) string {
	r.texts++
	base := r.texts * 1_000_000
	return func(i int) string { return fmt.Sprintf("%s%d", letter, base+i) }
}

// answerMark waits for the echo of a text.
func (r *run) answerMark(text string) *mark { return r.office.seen.expect(taken("heard " + text)) }

func (r *run) answeredOneAtATime(chats []*chat, each int) measure {
	return func(ctx context.Context) (Load, error) {
		texts := r.numbered("b")
		hooks, err := r.office.drafts(ctx, chats, each, texts)
		if err != nil {
			return Load{}, err
		}
		return Closed(ctx, len(chats), each, func(ctx context.Context, lane, n int) error {
			return r.askBot(ctx, chats[lane], hooks[lane][n], texts(lane*each+n))
		})
	}
}

func (r *run) answeredFlood(chats []*chat, each int) measure {
	return func(ctx context.Context) (Load, error) {
		texts := r.numbered("d")
		hooks, err := r.office.drafts(ctx, chats, each, texts)
		if err != nil {
			return Load{}, err
		}
		return Flood(ctx, len(chats), each, func(ctx context.Context, lane, n int) (func(context.Context) error, error) {
			m := r.answerMark(texts(lane*each + n))
			return m.wait, r.office.deliver(ctx, chats[lane].channel, hooks[lane][n])
		})
	}
}

// inFlight is how many messages of one conversation an agent has on their way
// at once in a flood. A workflow takes ten updates at once.
const inFlight = 8

// agentMessage is scenario 3: from an agent's request to LINE's acceptance.
func (r *run) agentMessage(ctx context.Context) error {
	chats := r.served[:r.size.lanes]
	if err := r.compare(ctx, 3, "one at a time", "messages/s", r.size.rounds, ratioAtLeast(0.7), nil,
		r.said(chats, 1, r.size.oneEach), r.bare.updates(r.regular, 1, r.size.oneEach)); err != nil {
		return err
	}
	each := max(1, r.size.floodEach/inFlight)
	return r.compare(ctx, 3, fmt.Sprintf("flood, %d at once in each conversation", inFlight), "messages/s", r.size.rounds, ratioAtLeast(0.7), nil,
		r.said(chats, inFlight, each), r.bare.updates(r.regular, inFlight, each))
}

// said is a load of agents' messages, so many at once in each conversation.
func (r *run) said(chats []*chat, atOnce, each int) measure {
	return func(ctx context.Context) (Load, error) {
		texts := r.numbered("s")
		return Closed(ctx, len(chats)*atOnce, each, func(ctx context.Context, lane, n int) error {
			c, text := chats[lane/atOnce], texts(lane*each+n)
			m := r.office.seen.expect(taken(text))
			if err := r.office.call(ctx, c.agent.token, http.MethodPost, "/conversations/"+c.conversationID+"/messages", map[string]any{"type": "text", "text": text}, nil); err != nil {
				return err
			}
			return m.wait(ctx)
		})
	}
}

// askBot delivers a webhook and waits for the bot's answer.
func (r *run) askBot(ctx context.Context, c *chat, w linesim.Webhook, text string) error {
	m := r.answerMark(text)
	if err := r.office.deliver(ctx, c.channel, w); err != nil {
		return err
	}
	return m.wait(ctx)
}
