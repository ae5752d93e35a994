package conversation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
)

func TestTheSameCausesGiveTheSameID(t *testing.T) {
	t.Parallel()
	one := conversation.DerivedID(conversation.PrefixMessage, "chn_a", "event", 7)
	require.Equal(t, one, conversation.DerivedID(conversation.PrefixMessage, "chn_a", "event", 7))
	require.NotEqual(t, one, conversation.DerivedID(conversation.PrefixMessage, "chn_a", "event", 8))
	require.NotEqual(t, conversation.DerivedID("x_", "ab", "c"), conversation.DerivedID("x_", "a", "bc"))
	require.True(t, conversation.ValidID(conversation.PrefixMessage, one))
	require.False(t, conversation.ValidID(conversation.PrefixConversation, one))
	require.False(t, conversation.ValidID(conversation.PrefixMessage, "msg_../../x"))
}

func TestNewIDsDiffer(t *testing.T) {
	t.Parallel()
	one, two := conversation.NewID(conversation.PrefixBot), conversation.NewID(conversation.PrefixBot)
	require.NotEqual(t, one, two)
	require.True(t, conversation.ValidID(conversation.PrefixBot, one))
}

func TestAWorkflowIDNamesItsChat(t *testing.T) {
	t.Parallel()
	chat := conversation.ChatKey("user", "U1")
	require.NotContains(t, chat, "U1")
	channel, key, ok := conversation.ParseWorkflowID(conversation.WorkflowID("chn_1", chat))
	require.True(t, ok)
	require.Equal(t, "chn_1", channel)
	require.Equal(t, chat, key)
	for _, other := range []string{"", "survey/cnv_1", "line//x", "line/a", "line/a/b/c"} {
		_, _, ok := conversation.ParseWorkflowID(other)
		require.False(t, ok, other)
	}
}

func TestARetryKeyIsAVersion5UUIDOfItsBatch(t *testing.T) {
	t.Parallel()
	key := conversation.RetryKey("bat_1")
	require.Equal(t, key, conversation.RetryKey("bat_1"))
	require.NotEqual(t, key, conversation.RetryKey("bat_2"))
	require.Equal(t, byte('5'), key[14])
}

func TestATrackingIDIsOfOneMessageAndHasNoUnderscore(t *testing.T) {
	t.Parallel()
	id := conversation.DerivedID(conversation.PrefixMessage, "cause", 0)
	tracking := conversation.TrackingID(id)
	require.Regexp(t, `^[a-zA-Z0-9-]{1,100}$`, tracking)
	require.Equal(t, id, conversation.TrackedMessage(tracking))
	for _, other := range []string{"", "tour-7", id, "cnv-1", "msg-", "msg-a-b", "msg-A", "msg"} {
		require.Empty(t, conversation.TrackedMessage(other), other)
	}
}
