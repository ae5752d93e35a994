package bot

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// fragments put together at random come close to a document now and then.
func fragments(pieces ...string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		out := ""
		for range rapid.IntRange(0, 40).Draw(t, "n") {
			out += rapid.OneOf(rapid.SampledFrom(pieces), rapid.StringN(0, 3, -1)).Draw(t, "piece")
		}
		return out
	})
}

func TestWhateverABotAnswersIsAReplyOrAFailure(t *testing.T) {
	t.Parallel()
	field := rapid.SampledFrom([]string{"messages", "context", "action", "handoff", "understood", "type", "text", "url", "quick_replies", "label", "summary", "skills", "level", "queue_id", "contents", "template", "alt_text", "latitude", "x"})
	leaf := rapid.SampledFrom([]any{nil, true, 1, -1.5e300, "", "text", "quick_replies", "image", "flex", "location", "handoff", "end", "que_1", "https://example.com/x"})
	var tree func(depth int) *rapid.Generator[any]
	tree = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return leaf
		}
		return rapid.OneOf(leaf,
			rapid.Map(rapid.SliceOfN(tree(depth-1), 0, 3), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(field, tree(depth-1), 0, 5), func(m map[string]any) any { return m }),
		)
	}
	rapid.Check(t, func(t *rapid.T) {
		body := []byte(rapid.OneOf(
			rapid.Map(tree(4), func(v any) string { return string(encode(v)) }),
			fragments(`{`, `}`, `[`, `]`, `,`, `:`, `"messages"`, `"type"`, `"text"`, `"action"`, `null`, `1`, `"`),
		).Draw(t, "body"))
		reply, err := readAnswer(body)
		if err != nil {
			require.Contains(t, []Failure{FailureMalformed, FailureInvalidAnswer}, FailureOf(err))
			return
		}
		require.Contains(t, []Action{ActionContinue, ActionHandoff, ActionEnd}, reply.Action)
		require.Equal(t, reply.Action == ActionHandoff, reply.Handoff != nil)
	})
}
