package line

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]struct{ chat, user, message bool }{
		testUser:                              {chat: true, user: true},
		testGroup:                             {chat: true},
		testRoom:                              {chat: true},
		"588112233445566700":                  {message: true},
		"":                                    {},
		strings.ToUpper(testUser):             {},
		testUser + "0":                        {},
		testUser + "\n":                       {},
		"X" + testUser[1:]:                    {},
		"U../../../../../../../../../../info": {},
		"1/2":                                 {},
		"-1":                                  {},
		"１２３":                                 {},
		strings.Repeat("1", 33):               {},
	} {
		require.Equal(t, want.chat, ValidChatID(id), id)
		require.Equal(t, want.user, ValidUserID(id), id)
		require.Equal(t, want.message, ValidMessageID(id), id)
	}
	require.True(t, validToken(strings.Repeat("x", 4096)))
	for _, token := range []string{"", " ", "a b", "a\x00", "a\r\nX-Header: 1", "会話", strings.Repeat("x", 4097)} {
		require.False(t, validToken(token))
	}
}
