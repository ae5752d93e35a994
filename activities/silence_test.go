package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/activities"
	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

func TestTimeoutRulesActOnceASilence(t *testing.T) {
	t.Parallel()
	eachOffice(t, func(_ *office, w *store.Workstream) {
		w.Settings.TimeoutRules = []store.TimeoutRule{
			{Name: "remind", When: store.CustomerSilent, AfterSeconds: 300, Action: store.TimeoutTellCustomer, Texts: map[string]string{"en": "Are you there?", "ja": "{customer_name}様、いかがでしょうか。"}},
			{Name: "nudge", When: store.AgentSilent, AfterSeconds: 600, Action: store.TimeoutTellAgent, Texts: map[string]string{"th": "กรุณาตอบ", "en": "Please answer."}},
			{Name: "close", When: store.CustomerSilent, AfterSeconds: 900, Action: store.TimeoutClose},
			{Name: "park", When: store.CustomerSilent, AfterSeconds: 900, Action: store.TimeoutPark},
		}
	}, func(t *testing.T, o *office) {
		ctx := t.Context()
		agents, err := o.store.Agents(ctx, store.Cursor{}, 10)
		require.NoError(t, err)
		by := conversation.Actor{AgentID: agents[0].ID}
		in := func(d time.Duration) int64 { return monday.Add(d).UnixMilli() }
		silence := func(after, by time.Duration) activities.SilenceOutput {
			t.Helper()
			out, err := o.acts.Silence(ctx, activities.SilenceInput{ConversationID: o.id, ChannelID: o.channel.ID, AfterMS: in(after), ByMS: in(by)})
			require.NoError(t, err)
			return out
		}
		said := func() (list [][]string) {
			t.Helper()
			return o.rows(`SELECT text, direction, sender_kind, automated FROM messages WHERE automated = 'timeout_rule' ORDER BY occurred_at`)
		}
		o.writes("hello")
		o.route()
		require.Equal(t, activities.SilenceOutput{}, silence(0, time.Hour), "no agent has it")
		_, err = o.acts.Transition(ctx, activities.TransitionInput{
			ID: "tsn_pick", ConversationID: o.id, ChannelID: o.channel.ID, ChatKey: o.chat, Event: conversation.EventPicked, Actor: by,
		})
		require.NoError(t, err)

		require.Equal(t, activities.SilenceOutput{NextMS: in(10 * time.Minute)}, silence(0, 10*time.Minute-time.Millisecond))
		require.Empty(t, said())
		for range 2 {
			require.Equal(t, activities.SilenceOutput{}, silence(0, 10*time.Minute))
		}
		nudge := []string{"Please answer.", "internal", "system", "timeout_rule"}
		require.Equal(t, [][]string{nudge}, said(), "the agent reads Japanese, which it does not have")

		_, _, err = o.store.Say(ctx, store.SayRequest{Cause: "c", ConversationID: o.id, Actor: by, Drafts: []store.Draft{
			{SenderKind: conversation.SenderAgent, SenderID: by.AgentID, Content: conversation.TextContent("what is it?")},
		}})
		require.NoError(t, err)
		require.Equal(t, activities.SilenceOutput{NextMS: in(5 * time.Minute)}, silence(0, time.Minute))
		for range 2 {
			require.Equal(t, activities.SilenceOutput{Messages: 1, NextMS: in(15 * time.Minute)}, silence(time.Minute, 5*time.Minute))
		}
		require.ElementsMatch(t, [][]string{nudge, {"いかがでしょうか。", "outbound", "system", "timeout_rule"}}, said())
		require.Equal(t, activities.SilenceOutput{Step: conversation.EventTimeoutRule}, silence(5*time.Minute, 15*time.Minute), "the first of two")
		require.Len(t, said(), 2)
	})
}
