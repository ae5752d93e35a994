package linesim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWatchersSeeWhatPhonesShow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var seen []string
	stop := b.Watch(func(m ChatMessage) { seen = append(seen, m.ChatID+" "+m.Text()) })
	require.Equal(t, 200, b.push(alice, "", "one", "two").Status)
	_, err := b.Unfollow(b.ctx, testChannel, alice)
	require.NoError(t, err)
	require.Equal(t, 200, b.push(alice, "", "never shown").Status)
	require.Equal(t, 200, b.push(bob, "", "three").Status)
	stop()
	require.Equal(t, 200, b.push(bob, "", "four").Status)
	require.Equal(t, []string{alice + " one", alice + " two", bob + " three"}, seen)
}
