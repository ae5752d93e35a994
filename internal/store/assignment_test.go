package store_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/routing"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// profile makes a capacity profile.
func (f *floor) profile(p store.CapacityProfile) string {
	f.t.Helper()
	if p.LimitDefault == 0 {
		p.LimitDefault = 1
	}
	if p.Reset == "" {
		p.Reset = store.ResetImmediate
	}
	p, err := f.s.CreateCapacityProfile(f.t.Context(), admin, p)
	require.NoError(f.t, err)
	return p.ID
}

// limit gives an agent a limit of a capacity profile, beside those they have.
func (f *floor) limit(agentID, profileID string, limit int64) {
	f.t.Helper()
	_, err := f.s.UpdateAgent(f.t.Context(), admin, agentID, store.AnyVersion, func(a *store.Agent) error {
		a.CapacityProfiles = append(a.CapacityProfiles, store.AgentCapacityProfile{ProfileID: profileID, Limit: limit})
		return nil
	})
	require.NoError(f.t, err)
}

// counts puts a conversation into the queue that counts against a profile.
func (f *floor) counts(profileID string) string {
	f.t.Helper()
	return f.waits(fmt.Sprintf(`capacity_profile_id = '%[1]s', units = 0, requirement = '%[1]s'`, profileID))
}

func (f *floor) accept(conversationID, agentID string) store.Offer {
	f.t.Helper()
	o := f.theOfferOf(conversationID, agentID)
	require.NoError(f.t, f.act(f.t.Context(), o, conversation.EventAccepted, agentID, "accept"+conversationID))
	return o
}

// loads is what an agent holds of their capacity profiles: "profile load/limit".
func (f *floor) loads(agentID string) (out []string) {
	f.t.Helper()
	loads, err := f.s.ProfileLoads(f.t.Context(), []string{agentID})
	require.NoError(f.t, err)
	for _, l := range loads[agentID] {
		out = append(out, fmt.Sprintf("%s %d/%d", l.ProfileID, l.Load, l.Limit))
	}
	return out
}

func TestWhatAnAgentHoldsOfACapacityProfileIsTold(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		now, day := f.profile(store.CapacityProfile{Name: "now"}), f.profile(store.CapacityProfile{Name: "day", Reset: store.ResetEndOfDay, Zone: "UTC"})
		mei := f.agent("mei", 1)
		require.Empty(t, f.loads(mei))
		f.limit(mei, now, 2)
		f.limit(mei, day, 3)
		of := func(loads map[string]int) (want []string) {
			for _, id := range slices.Sorted(maps.Keys(map[string]int{now: 2, day: 3})) {
				want = append(want, fmt.Sprintf("%s %d/%d", id, loads[id], map[string]int{now: 2, day: 3}[id]))
			}
			return want
		}
		require.Equal(t, of(nil), f.loads(mei))
		first, second := f.counts(now), f.counts(day)
		f.match()
		require.Equal(t, of(map[string]int{now: 1, day: 1}), f.loads(mei), "on offer")
		a, b := f.accept(first, mei), f.accept(second, mei)
		require.Equal(t, of(map[string]int{now: 1, day: 1}), f.loads(mei), "held")
		f.close(a)
		f.close(b)
		require.Equal(t, of(map[string]int{day: 1}), f.loads(mei), "until the day ends")
		f.c.Advance(24 * time.Hour)
		require.Equal(t, of(nil), f.loads(mei))
	})
}

func (f *floor) close(o store.Offer) {
	f.t.Helper()
	require.NoError(f.t, f.act(f.t.Context(), o, conversation.EventForceClosed, o.AgentID, "close"+o.ConversationID))
}

func TestACapacityProfileIsNotDeletedWhileSomethingNeedsIt(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		ctx := t.Context()
		id := f.profile(store.CapacityProfile{Name: "calls"})
		_, err := f.s.CreateCapacityProfile(ctx, admin, store.CapacityProfile{Name: "calls", LimitDefault: 1, Reset: store.ResetImmediate})
		requireCode(t, conversation.CodeConflict, err)
		refused := func(word string) {
			t.Helper()
			err := f.s.DeleteCapacityProfile(ctx, admin, id, store.AnyVersion)
			requireCode(t, conversation.CodeInUse, err)
			require.ErrorContains(t, err, word)
		}
		mei := f.agent("mei", 3)
		f.limit(mei, id, 2)
		refused("mei")
		_, err = f.s.UpdateAgent(ctx, admin, mei, store.AnyVersion, func(a *store.Agent) error { a.CapacityProfiles = nil; return nil })
		require.NoError(t, err)
		set := func(profileID string) error {
			_, err := f.s.UpdateWorkstream(ctx, admin, f.stream.ID, store.AnyVersion, func(w *store.Workstream) error { w.Settings.CapacityProfileID = profileID; return nil })
			return err
		}
		requireCode(t, conversation.CodeInvalid, set("cpf_none"))
		require.NoError(t, set(id))
		refused("Shop")
		require.NoError(t, set(""))
		rules := func(profileID string) store.Ruleset {
			return store.Ruleset{Name: "what", Kind: store.RulesetClassification, Rules: []routing.Rule{{ID: "r", Condition: "true", Outputs: routing.Outputs{CapacityProfileID: profileID}}}}
		}
		_, err = f.s.CreateRuleset(ctx, admin, rules("cpf_none"))
		requireCode(t, conversation.CodeInvalid, err)
		require.ErrorContains(t, err, "/rules/0/outputs/capacity_profile_id")
		set2, err := f.s.CreateRuleset(ctx, admin, rules(id))
		require.NoError(t, err)
		refused("what")
		require.NoError(t, f.s.DeleteRuleset(ctx, admin, set2.ID, 1))
		c := f.counts(id)
		refused(c)
		require.NoError(t, f.s.ExecForTest(ctx, `UPDATE conversations SET status = 'closed', owner = 'none'`))
		require.NoError(t, f.s.DeleteCapacityProfile(ctx, admin, id, store.AnyVersion))
	})
}

func TestAConversationCountsAgainstItsProfileUntilItIsLetGoOrTheDayEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reset store.CapacityReset
		zone  string
		waits bool // for the end of the day
	}{{store.ResetImmediate, "", false}, {store.ResetEndOfDay, "Asia/Tokyo", true}} {
		t.Run(string(c.reset), func(t *testing.T) {
			t.Parallel()
			withFloor(t, nil, func(t *testing.T, f *floor) {
				id := f.profile(store.CapacityProfile{Name: "cases", Reset: c.reset, Zone: c.zone})
				mei, som := f.agent("mei", 0), f.agent("som", 9)
				f.limit(mei, id, 2)
				first, second, third := f.counts(id), f.counts(id), f.counts(id)
				require.Equal(t, 2, f.match().Made, "and not to som, who has no limit of it")
				f.accept(first, mei)
				f.close(f.accept(second, mei))
				plain := f.waits()
				f.match()
				require.Contains(t, f.offers(som), plain+" "+som, "what takes units goes to whoever has some")
				if c.waits {
					require.Empty(t, f.offers(mei), "what ended today counts")
					require.Equal(t, "no_agent", f.log(third)[len(f.log(third))-1])
					// It is 18:00 in Tokyo: at midnight, though not before, there is room.
					for _, to := range []time.Duration{6*time.Hour - time.Second, time.Second} {
						require.Empty(t, f.offers(mei))
						f.c.Advance(to)
						f.presence(mei, conversation.PresenceAvailable)
						f.match()
					}
				}
				require.Equal(t, []string{third + " " + mei}, f.offers(mei))
				st, err := f.s.AgentState(t.Context(), mei)
				require.NoError(t, err)
				require.Zero(t, st.Load, "no units")
			})
		})
	}
}

func TestAFullProfileThatBlocksKeepsOtherWorkAway(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		big := f.profile(store.CapacityProfile{Name: "big", Blocks: true})
		mei := f.agent("mei", 9)
		f.limit(mei, big, 1)
		case1 := f.counts(big)
		f.match()
		o := f.accept(case1, mei)
		plain := f.waits()
		require.Zero(t, f.match().Made)
		f.close(o)
		f.match()
		require.Equal(t, []string{plain + " " + mei}, f.offers(mei))
	})
}

// A look costs no statement more when somebody has a capacity profile.
func TestProfilesCostALookNoStatement(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			cost := map[bool]int64{}
			for _, profiled := range []bool{false, true} {
				c := newClock()
				s, _ := storetest.New(t, dialect, func(o *store.Options) { o.Now = c.Now })
				f := newFloor(t, s, c, nil)
				id := f.profile(store.CapacityProfile{Name: "p", Reset: store.ResetEndOfDay, Zone: "Asia/Tokyo"})
				for i := range 4 {
					a := f.agent(fmt.Sprint("agent", i), 2)
					if profiled {
						f.limit(a, id, 2)
					}
				}
				for range 6 {
					f.waits()
				}
				before := s.Statements()
				require.Equal(t, 6, f.match().Made)
				cost[profiled] = s.Statements() - before
			}
			require.Equal(t, cost[false], cost[true])
		})
	}
}

// When a day ends by which somebody counts, there is a look.
func TestWhoWaitsForTheEndOfTheDayIsLookedAtThen(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		id := f.profile(store.CapacityProfile{Name: "cases", Reset: store.ResetEndOfDay, Zone: "Asia/Tokyo"})
		mei := f.agent("mei", 0)
		f.limit(mei, id, 1)
		first := f.counts(id)
		f.match()
		f.close(f.accept(first, mei))
		second := f.counts(id)
		f.c.Advance(6*time.Hour - time.Minute) // it is a minute to midnight in Tokyo
		f.presence(mei, conversation.PresenceAvailable)
		midnight := f.c.Now().Add(time.Minute)
		require.Equal(t, midnight, f.match().NextAt)
		f.c.Advance(time.Minute)
		f.match()
		require.Equal(t, []string{second + " " + mei}, f.offers(mei))
	})
}

// What an agent had today and is offered again counts once, so there is room for
// the next one, in the looks that follow at once.
func TestWhatIsOfferedAgainOnTheSameDayTakesNoRoomTwice(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		id := f.profile(store.CapacityProfile{Name: "cases", Reset: store.ResetEndOfDay, Zone: "Asia/Tokyo"})
		mei := f.agent("mei", 0)
		f.limit(mei, id, 2)
		first := f.counts(id)
		f.match()
		o := f.accept(first, mei)
		require.NoError(t, f.act(t.Context(), o, conversation.EventReleased, mei, "release"))
		second := f.counts(id)
		for more := true; more; {
			more = f.match().More
		}
		require.ElementsMatch(t, []string{first + " " + mei, second + " " + mei}, f.offers(mei))
	})
}

// Whatever happens at once, nobody has more of a profile than their limit, the
// day's included.
func TestUnderConcurrentWorkLimitsHold(t *testing.T) {
	t.Parallel()
	withFloor(t, func(a *store.Assignment) { a.OfferTimeoutSeconds = 10 }, func(t *testing.T, f *floor) {
		ctx := t.Context()
		now, day := f.profile(store.CapacityProfile{Name: "now", Blocks: true}), f.profile(store.CapacityProfile{Name: "day", Reset: store.ResetEndOfDay, Zone: "UTC"})
		var agents []string
		for i := range 5 {
			a := f.agent(fmt.Sprint("agent", i), 2)
			f.limit(a, now, int64(1+i%2))
			f.limit(a, day, int64(2+i%3))
			agents = append(agents, a)
		}
		for range 15 {
			f.counts(now)
			f.counts(day)
			f.waits()
		}
		var exceeded sync.Map
		check := func() {
			over, err := f.s.QueryForTest(ctx, `SELECT COALESCE(max(h.agent_id || ' has ' || x.n || ' of ' || h.at_most), '') FROM agent_capacity_profiles h JOIN (
				SELECT agent_id, profile_id, count(DISTINCT conversation_id) AS n FROM (
					SELECT agent_id, capacity_profile_id AS profile_id, id AS conversation_id FROM conversations WHERE owner = 'agent'
					UNION ALL SELECT o.agent_id, c.capacity_profile_id, c.id FROM offers o JOIN conversations c ON c.id = o.conversation_id WHERE o.state = 'live'
					UNION ALL SELECT u.agent_id, u.profile_id, u.conversation_id FROM capacity_used u JOIN capacity_profiles p ON p.id = u.profile_id AND p.reset = 'end_of_day'
				) AS work GROUP BY agent_id, profile_id) AS x ON x.agent_id = h.agent_id AND x.profile_id = h.profile_id WHERE x.n > h.at_most`)
			if err != nil {
				t.Error(err)
			}
			if over != "" {
				exceeded.Store(over, true)
			}
		}
		ended := func() bool { return f.count(`SELECT CAST(count(*) AS TEXT) FROM capacity_used`) != "0" }
		// Who comes first differs, and with it whether anything counts for the day.
		for round := uint64(0); round < 20 && !(round > 0 && ended()); round++ {
			var all sync.WaitGroup
			for w := range 12 {
				all.Go(func() {
					random := rand.New(rand.NewPCG(uint64(w), 11+round))
					for step := range 8 {
						agent := agents[random.IntN(len(agents))]
						offers, err := f.s.LiveOffers(ctx, agent)
						noError(t, err)
						name := fmt.Sprint(round, "-", w, "-", step)
						switch what := random.IntN(10); {
						case what < 5 || len(offers) == 0:
							_, err := f.s.Match(ctx, store.MatchRequest{})
							noError(t, err)
						case what < 9:
							if f.act(ctx, offers[0], conversation.EventAccepted, agent, "a"+name) == nil && what < 7 {
								_ = f.act(ctx, offers[0], conversation.EventForceClosed, agent, "c"+name)
							}
						default:
							_, _ = f.s.DeclineOffer(ctx, offers[0].ID, agent, "no")
						}
						check()
					}
				})
			}
			all.Wait()
		}
		exceeded.Range(func(over, _ any) bool { t.Error(over); return true })
		require.True(t, ended(), "some of it ended")
	})
}

// byRules gives the floor's queue a custom assignment.
func (f *floor) byRules(c *routing.CustomAssignment) {
	f.t.Helper()
	_, err := f.s.UpdateQueue(f.t.Context(), admin, f.queue.ID, store.AnyVersion, func(q *store.Queue) error {
		q.Assignment, q.Custom = routing.Custom, c
		return nil
	})
	require.NoError(f.t, err)
}

func expertsFirst(skillID string) *routing.CustomAssignment {
	return &routing.CustomAssignment{
		Buckets: []routing.PriorityBucket{{ID: "gold", Condition: `conversation.attributes[?"plan"].orValue("") == "gold"`, Order: routing.ByAge}},
		Rules: []routing.AssignmentRule{
			{ID: "expert", Condition: `agent.skills[?"` + skillID + `"].orValue(0) >= 8`, OrderBy: []routing.Criterion{}},
			{ID: "any", AfterSeconds: 60, Condition: "true", OrderBy: []routing.Criterion{{By: routing.ByProficiency, SkillID: skillID, Descending: true}}},
		},
	}
}

func TestAQueueAssignsByItsOwnRules(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		ctx := t.Context()
		k := aSkill(t, f.s, "refunds")
		younger, gold := f.waits(), f.waits(`attributes = '{"plan":"gold"}'`)
		f.byRules(expertsFirst(k.ID))
		q, err := f.s.Queue(ctx, f.queue.ID)
		require.NoError(t, err)
		require.Equal(t, routing.Custom, q.Assignment)
		require.Equal(t, expertsFirst(k.ID), q.Custom)
		require.Equal(t, "highest_capacity", f.count(`SELECT assignment FROM queues`), "for what knows no custom assignment")
		require.Equal(t, "2", f.count(`SELECT CAST(count(DISTINCT requirement) AS TEXT) FROM conversations WHERE requirement LIKE 'c-%'`), "those who wait are of kinds of their own")
		requireCode(t, conversation.CodeInUse, f.s.DeleteSkill(ctx, admin, k.ID, store.AnyVersion))

		f.agent("mei", 1)
		res := f.match()
		require.Zero(t, res.Made)
		require.Equal(t, f.at(f.now()+1).Add(time.Minute), res.NextAt, "when a rule brings mei for the one who has waited for longest")
		som, err := f.s.CreateAgent(ctx, admin, store.Agent{Name: "som", Email: "som@example.test", Role: store.RoleAgent, Locale: "en", Capacity: 1, Skills: []store.AgentSkill{{SkillID: k.ID, Level: 9}}})
		require.NoError(t, err)
		require.NoError(t, f.s.AddMember(ctx, admin, f.queue.ID, som.ID))
		f.presence(som.ID, conversation.PresenceAvailable)
		f.match()
		require.Equal(t, []string{gold + " " + som.ID}, f.offers(som.ID), "the first bucket, though the other came first")
		entry := f.count(`SELECT entry FROM routing_log WHERE outcome = 'offered'`)
		for _, said := range []string{`"why":"rule"`, `"rule_id":"expert"`, `"bucket_id":"gold"`} {
			require.Contains(t, entry, said)
		}
		f.c.Advance(time.Minute + time.Microsecond)
		require.Equal(t, 1, f.match().Made)
		require.Contains(t, f.count(`SELECT entry FROM routing_log WHERE outcome = 'offered' AND conversation_id = '`+younger+`'`), `"rule_id":"any"`)
	})
}

// Somebody who comes to the queue while its assignment is being changed is of a
// kind that is no more; they are found all the same, and block nobody.
func TestAKindThatIsOutOfDateIsMended(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		f.byRules(&routing.CustomAssignment{Rules: []routing.AssignmentRule{{ID: "ja", Condition: `conversation.language == "ja"`}}})
		f.waits(`language = 'th'`)
		second := f.waits(`language = 'ja'`)
		mei := f.agent("mei", 5)
		for n := 0; len(f.offers(mei)) == 0; n++ {
			require.Less(t, n, 4)
			res := f.match()
			require.True(t, res.More || res.Made > 0)
		}
		require.Equal(t, []string{second + " " + mei}, f.offers(mei))
		f.byRules(&routing.CustomAssignment{Rules: []routing.AssignmentRule{{ID: "all", Condition: `true`}}})
		require.Equal(t, 1, f.match().Made, "a change counts at once")

		_, err := f.s.UpdateQueue(t.Context(), admin, f.queue.ID, store.AnyVersion, func(q *store.Queue) error {
			q.Assignment, q.Custom = routing.RoundRobin, nil
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, "0", f.count(`SELECT CAST(count(*) AS TEXT) FROM conversations WHERE requirement LIKE 'c-%'`))
	})
}

func TestWhoIsMovedIntoAQueueOfItsOwnRulesIsOfItsKinds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, d := t.Context(), newDesk(t, s)
		kind := func() string {
			text, err := s.QueryForTest(ctx, `SELECT requirement FROM conversations`)
			require.NoError(t, err)
			return text
		}
		was := d.row().QueueID
		custom, err := s.CreateQueue(ctx, admin, store.Queue{Name: "experts", Assignment: routing.Custom, Custom: &routing.CustomAssignment{
			Rules: []routing.AssignmentRule{{ID: "r", Condition: "true", OrderBy: []routing.Criterion{}}},
		}})
		require.NoError(t, err)
		boss := conversation.Actor{AgentID: "agt_boss", Supervisor: true}
		d.must(store.TransitionRequest{Event: conversation.EventTransferredQueue, Actor: boss, QueueID: custom.ID, CustomQueue: true})
		require.True(t, routing.IsCustomKind(kind()), kind())
		mei := anAgent(t, s, "mei")
		d.pick(mei.ID)
		before := kind()
		d.must(store.TransitionRequest{Event: conversation.EventReleased, Actor: conversation.Actor{AgentID: mei.ID}, LeavingAgentID: mei.ID})
		require.Equal(t, before, kind(), "it comes back to where it was")
		d.must(store.TransitionRequest{Event: conversation.EventTransferredQueue, Actor: boss, QueueID: was})
		require.False(t, routing.IsCustomKind(kind()), kind())
	})
}

func TestWhomAContactPrefersIsOfferedItFirst(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		ctx := t.Context()
		mei, som, aoi := f.agent("mei", 1), f.agent("som", 5), f.agent("aoi", 5)
		require.NoError(t, f.s.RemoveMember(ctx, admin, f.queue.ID, mei))
		k, err := f.s.CreateContact(ctx, admin, store.Contact{Name: "Emma", PreferredAgentIDs: []string{aoi, mei}})
		require.NoError(t, err)
		require.Equal(t, []string{aoi, mei}, k.PreferredAgentIDs)
		_, err = f.s.UpdateContact(ctx, admin, k.ID, store.AnyVersion, func(k *store.Contact) error {
			k.PreferredAgentIDs = []string{mei, "agt_none"}
			return nil
		})
		requireCode(t, conversation.CodeInvalid, err)
		require.ErrorContains(t, err, "/preferred_agent_ids/1")

		id := f.waits(fmt.Sprintf(`contact_id = '%s'`, k.ID))
		facts, err := f.s.RoutingFacts(ctx, id)
		require.NoError(t, err)
		require.Equal(t, []string{aoi, mei}, facts.ContactAgents, "in order")
		require.NoError(t, f.s.ExecForTest(ctx, `UPDATE conversations SET contact_agents = $1, requirement = 'theirs'`, strings.Join(facts.ContactAgents, " ")))
		f.presence(aoi, conversation.PresenceAway)
		f.match()
		require.Equal(t, []string{id + " " + mei}, f.offers(mei, som, aoi), "who is there, and works the queue or not")
		require.Contains(t, f.count(`SELECT entry FROM routing_log WHERE outcome = 'offered'`), `"why":"contact_agent"`)

		// They have no room for a second one: it is anyone's at once.
		second := f.waits(fmt.Sprintf(`contact_agents = '%s', requirement = 'theirs too'`, mei))
		f.match()
		require.Equal(t, []string{second + " " + som}, f.offers(som, aoi))

		// Who gives it back is not asked first again.
		o := f.accept(id, mei)
		req := store.TransitionRequest{
			ID: "release", ConversationID: id, ChannelID: f.channel.ID, ChatKey: id, Event: conversation.EventReleased, Actor: conversation.Actor{AgentID: mei}, LeavingAgentID: o.AgentID,
		}
		_, err = f.s.Transition(ctx, req)
		require.NoError(t, err)
		require.Equal(t, routing.Requirement{Units: 1}.Signature(), f.count(`SELECT requirement || contact_agents FROM conversations WHERE id = '`+id+`'`))
		f.match()
		require.Contains(t, f.offers(som), id+" "+som)

		require.NoError(t, f.s.DeleteAgent(ctx, store.Origin{}, mei, store.AnyVersion))
		k, err = f.s.Contact(ctx, k.ID)
		require.NoError(t, err)
		require.Equal(t, []string{aoi}, k.PreferredAgentIDs, "who is no more is taken out")
	})
}

// The smaller queue number is served first across queues, and who comes back
// keeps the time at which they first waited.
func TestQueuesComeBeforeOneAnotherAndWhoComesBackKeepsTheirPlace(t *testing.T) {
	t.Parallel()
	withFloor(t, nil, func(t *testing.T, f *floor) {
		ctx := t.Context()
		first, err := f.s.CreateQueue(ctx, admin, store.Queue{Name: "first", Priority: 1})
		require.NoError(t, err)
		mei := f.agent("mei", 1)
		require.NoError(t, f.s.AddMember(ctx, admin, first.ID, mei))
		long, returned := f.waits(`priority = 99`), f.waits()
		f.n += 100
		young := f.waits()
		urgent := f.waits(fmt.Sprintf(`queue_id = '%s'`, first.ID))
		// returned was parked, and its customer writes again later than young did.
		require.NoError(t, f.s.ExecForTest(ctx, `UPDATE conversations SET waiting_since = waiting_since + 1000000 WHERE id = $1`, returned))
		for _, want := range []string{urgent, long, returned, young} {
			f.match()
			require.Equal(t, []string{want + " " + mei}, f.offers(mei))
			f.close(f.accept(want, mei))
		}
	})
}
