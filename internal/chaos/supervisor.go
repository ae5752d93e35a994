package chaos

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// supervisor steps in: gives conversations to agents, takes them from bots,
// takes offers back, closes. They also see everything that happens.
type supervisor struct {
	*desk
	office  *office
	dice    dice
	witness witness

	mu    sync.Mutex
	offer string // the newest one
}

func (o *office) supervise(token string) *supervisor {
	return &supervisor{
		desk:   &desk{front: o.front, token: token, name: "s0", client: o.client, tally: o.tally},
		office: o, dice: newDice(o.seed, roleSupervisor, 0, 0),
	}
}

// watch follows the stream of events until ctx ends.
func (s *supervisor) watch(ctx context.Context) {
	s.follow(ctx, func(h happening) {
		s.witness.tell(h)
		if h.Type == "offer.created" {
			s.mu.Lock()
			s.offer = h.SubjectID
			s.mu.Unlock()
		}
	})
}

// work steps in every few seconds until ctx ends.
func (s *supervisor) work(ctx context.Context) error {
	for rest(ctx, s.dice.between(1500*time.Millisecond, 4*time.Second)) {
		what, choice := weighted(s.dice, []share[string]{{45, "assign"}, {20, "handoff"}, {10, "close"}, {25, "rescind"}}), s.dice.Uint64()
		key := s.key()
		if what == "rescind" {
			s.mu.Lock()
			offer := s.offer
			s.mu.Unlock()
			if offer != "" {
				s.steps(ctx, "offers: rescind", "/offers/"+offer+"/rescind", key, nil)
			}
			continue
		}
		status, owner := "open", "queue"
		body := map[string]string{}
		switch what {
		case "handoff":
			status, owner = "active", "bot"
		case "assign":
			body["agent_id"] = s.office.agents[choice%uint64(len(s.office.agents))].id
		}
		var list items
		if err := s.ask(ctx, http.MethodGet, "/conversations?limit=50&status="+status, "", "", nil, &list); err != nil {
			continue
		}
		var fit []item
		for _, c := range list.Items {
			if c.Owner == owner {
				fit = append(fit, c)
			}
		}
		if len(fit) > 0 {
			s.steps(ctx, "supervisor: "+what, "/conversations/"+fit[choice%uint64(len(fit))].ID+"/"+what, key, body)
		}
	}
	return nil
}

func (s *supervisor) steps(ctx context.Context, name, path, key string, body map[string]string) {
	if body == nil {
		body = map[string]string{}
	}
	if s.posts(ctx, path, key, body, nil) == nil {
		s.tally.add(name, 1)
	}
}
