package linesim

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkMessageAndReply is one round: a customer writes, the webhook is
// delivered, the bot replies. State is in a file, as in load runs.
func BenchmarkMessageAndReply(b *testing.B) {
	bot := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	b.Cleanup(bot.Close)
	s, err := New(b.Context(), Options{Path: filepath.Join(b.TempDir(), "line.db"), MaxCalls: 1000, MaxDeliveries: 1000})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	require.NoError(b, s.AddChannel(b.Context(), Channel{ID: testChannel, AccessToken: testToken, WebhookURL: bot.URL, WebhookActive: true, RatePerSecond: -1}))
	users := make([]string, 200)
	for i := range users {
		users[i] = fmt.Sprintf("U%032x", i)
		require.NoError(b, s.AddUser(b.Context(), User{ID: users[i], DisplayName: "user"}))
	}
	api := httptest.NewServer(s.Handler())
	b.Cleanup(api.Close)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var n atomic.Int64
	start := time.Now()
	b.ResetTimer()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			sent, err := s.SendText(b.Context(), testChannel, users[n.Add(1)%int64(len(users))], "hello")
			if err != nil {
				b.Error(err)
				return
			}
			if err := replyOnce(client, api.URL, sent.ReplyToken); err != nil {
				b.Error(err)
				return
			}
		}
	})
	require.NoError(b, s.WaitIdle(b.Context()))
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "messages/s")
}

func replyOnce(client *http.Client, base, token string) error {
	body := fmt.Sprintf(`{"replyToken":%q,"messages":[{"type":"text","text":"hi"}]}`, token)
	req, err := http.NewRequest(http.MethodPost, base+"/v2/bot/message/reply", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+testToken)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("reply: %d %s", res.StatusCode, answer)
	}
	return errors.Join(err, res.Body.Close())
}
