package linesim

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every row of the table in docs/simulator.md has a test, which is there.
func TestTheTableOfWhatLINEDoesNamesTestsThatAreThere(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, dir := range []string{".", "../line", "../../api", "../../activities", "../../e2e"} {
		files, err := filepath.Glob(dir + "/*_test.go")
		require.NoError(t, err)
		for _, file := range files {
			source, err := os.ReadFile(file) //nolint:gosec // the repository's own
			require.NoError(t, err)
			for _, m := range function.FindAllStringSubmatch(string(source), -1) {
				there[m[1]] = true
			}
		}
	}
	page, err := os.ReadFile("../../docs/simulator.md")
	require.NoError(t, err)
	rows := 0
	name := regexp.MustCompile("`(Test\\w+)`")
	for _, line := range strings.Split(string(page), "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !strings.HasPrefix(line, "|") || len(cells) != 3 || strings.HasPrefix(cells[0], "---") || strings.TrimSpace(cells[2]) == "test" {
			continue
		}
		rows++
		named := name.FindAllStringSubmatch(cells[2], -1)
		require.NotEmpty(t, named, "no test: %s", line)
		for _, m := range named {
			require.True(t, there[m[1]], "there is no test %s", m[1])
		}
	}
	require.Greater(t, rows, 40)
}

func TestEveryAnswerHasARequestIDAndNoneSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.ChangeChannel(b.ctx, testChannel, func(c *Channel) { c.RatePerSecond = 2 }))
	seen := map[string]bool{}
	for _, r := range []response{
		b.push(alice, "", "taken"), b.push(alice, "not a key", "refused"), b.push(alice, "", "too fast"), b.call("GET", "/v2/bot/profile/"+alice, nil),
		b.call("GET", "/v2/bot/info", nil, "Authorization", "Bearer nobody"), b.call("GET", "/v2/bot/nothing", nil),
	} {
		id := r.Header.Get("X-Line-Request-Id")
		require.NotEmpty(t, id)
		require.False(t, seen[id], "each call has its own")
		seen[id] = true
		require.Empty(t, r.Header.Get("Retry-After"))
	}
}

func TestAPushToAGroupCountsEveryMember(t *testing.T) {
	t.Parallel()
	b := setup(t)
	group := "C" + strings.Repeat("a", 32)
	for _, user := range []string{alice, bob} {
		_, err := b.Send(b.ctx, testChannel, user, Message{Type: "text", Text: "hello all", GroupID: group})
		require.NoError(t, err)
	}
	require.JSONEq(t, `{"count":2}`, string(b.call("GET", "/v2/bot/group/"+group+"/members/count", nil).Body))
	require.Equal(t, http.StatusOK, b.push(group, "", "one", "two").Status)
	used, err := b.Consumption(b.ctx, testChannel)
	require.NoError(t, err)
	require.Equal(t, 2, used.Pushes)
	require.NoError(t, b.ChangeChannel(b.ctx, testChannel, func(c *Channel) { c.Quota = 3 }))
	require.Equal(t, http.StatusTooManyRequests, b.push(group, "", "one left, for two").Status)
	require.Equal(t, http.StatusOK, b.push(alice, "", "one left, for one").Status)
}

func TestAnAcceptedRetryKeyIsKnownThoughTheQuotaIsSpent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.ChangeChannel(b.ctx, testChannel, func(c *Channel) { c.Quota = 1 }))
	require.Equal(t, http.StatusOK, b.push(alice, key1, "one").Status)
	require.Equal(t, http.StatusConflict, b.push(alice, key1, "one").Status)
	require.Equal(t, http.StatusTooManyRequests, b.push(alice, strings.Replace(key1, "1", "2", 1), "two").Status)
}

func TestTheQuotasMonthIsJapans(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.ChangeChannel(b.ctx, testChannel, func(c *Channel) { c.Quota = 1 }))
	b.clock.Advance(time.Date(2025, 6, 30, 14, 59, 59, 0, time.UTC).Sub(b.clock.Now()))
	require.Equal(t, http.StatusOK, b.push(alice, "", "June").Status)
	require.Equal(t, http.StatusTooManyRequests, b.push(alice, "", "June").Status)
	b.clock.Advance(time.Second)
	require.Equal(t, http.StatusOK, b.push(alice, "", "July in Japan").Status)
}

func TestInStandbyEventsSaySo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.ChangeChannel(b.ctx, testChannel, func(c *Channel) { c.Standby = true }))
	b.write(alice, "hello")
	b.idle()
	require.Equal(t, "standby", str(t, b.bot.received()[0].Events[0]["mode"]))
}

func TestAVideoIsTrackedInChatsWithOneUserOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	group := "C" + strings.Repeat("a", 32)
	_, err := b.Send(b.ctx, testChannel, alice, Message{Type: "text", Text: "hello all", GroupID: group})
	require.NoError(t, err)
	push := func(to, tracking string) response {
		return b.call("POST", "/v2/bot/message/push", map[string]any{"to": to, "messages": []any{
			map[string]any{"type": "video", "originalContentUrl": picture, "previewImageUrl": picture, "trackingId": tracking},
		}})
	}
	require.Equal(t, http.StatusOK, push(alice, "tour-7").Status)
	refused := push(group, "tour-7")
	require.Equal(t, http.StatusBadRequest, refused.Status)
	require.Contains(t, string(refused.Body), "messages[0].trackingId")
	require.Equal(t, http.StatusOK, push(group, "").Status)
}
