package linesim

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

const victimFile = "LINESIM_TEST_VICTIM"

// TestVictim is not a test of its own: it is the process that
// TestKilledAtAnyInstantItRemembersWhatItAccepted kills.
func TestVictim(t *testing.T) {
	file := os.Getenv(victimFile)
	if file == "" {
		t.Skip("Runs only as a child of the test that kills it.")
	}
	s, err := New(t.Context(), Options{Path: file})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	fmt.Println("\nvictim at http://" + listener.Addr().String())
	server := &http.Server{Handler: s.Handler()}
	require.ErrorIs(t, server.Serve(listener), http.ErrServerClosed)
}

func TestKilledAtAnyInstantItRemembersWhatItAccepted(t *testing.T) {
	t.Parallel()
	bot := newBot(t)
	file := filepath.Join(t.TempDir(), "line.db")
	s, err := New(t.Context(), Options{Path: file})
	require.NoError(t, err)
	require.NoError(t, s.AddChannel(t.Context(), Channel{ID: testChannel, Secret: testSecret, AccessToken: testToken, WebhookURL: bot.URL, WebhookActive: true}))
	require.NoError(t, s.AddUser(t.Context(), User{ID: alice, DisplayName: "Alice"}))
	require.NoError(t, s.Close())

	self, err := os.Executable()
	require.NoError(t, err)
	victim := exec.Command(self, "-test.run=^TestVictim$")
	victim.Env = append(os.Environ(), victimFile+"="+file)
	out, err := victim.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, victim.Start())
	base := ""
	for lines := bufio.NewScanner(out); base == "" && lines.Scan(); {
		_, base, _ = strings.Cut(lines.Text(), "victim at ")
	}
	require.NotEmpty(t, base)

	// Four clients push and four customers' messages come in until it dies.
	var mu sync.Mutex
	accepted, written := map[string]string{}, map[string]bool{}
	var clients sync.WaitGroup
	post := func(path, body, key string) (response, bool) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(body))
		if err != nil {
			return response{}, false
		}
		req.Header.Set("Authorization", "Bearer "+testToken)
		if key != "" {
			req.Header.Set("X-Line-Retry-Key", key)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return response{}, false
		}
		return response{Status: res.StatusCode, Header: res.Header}, errors.Join(res.Body.Close()) == nil && res.StatusCode == 200
	}
	for i := range 4 {
		clients.Go(func() {
			for n := 0; ; n++ {
				text, key := fmt.Sprintf("push %d/%d", i, n), uuid.NewString()
				r, ok := post("/v2/bot/message/push", `{"to":"`+alice+`","messages":[{"type":"text","text":"`+text+`"}]}`, key)
				if !ok {
					return
				}
				mu.Lock()
				accepted[key] = r.Header.Get("x-line-request-id") + " " + text
				enough := len(accepted) == 120
				mu.Unlock()
				if enough {
					_ = victim.Process.Kill()
				}
			}
		})
		clients.Go(func() {
			for n := 0; ; n++ {
				text := fmt.Sprintf("written %d/%d", i, n)
				if _, ok := post("/_control/channels/"+testChannel+"/users/"+alice+"/messages", `{"type":"text","text":"`+text+`"}`, ""); !ok {
					return
				}
				mu.Lock()
				written[text] = true
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	require.Error(t, victim.Wait(), "it was killed")
	require.NotEmpty(t, written)

	b := &testBundle{t: t, ctx: t.Context(), bot: bot}
	b.Simulator, err = New(t.Context(), Options{Path: file})
	require.NoError(t, err)
	b.api = httptest.NewServer(b.Handler())
	t.Cleanup(func() {
		b.api.Close()
		require.NoError(t, b.Close())
	})
	b.idle()
	shown := map[string]string{}
	for _, m := range must(b.Chat(b.ctx, testChannel, alice))(t) {
		require.NotContains(t, shown, m.Text(), "shown twice")
		shown[m.Text()] = m.RequestID
	}
	for key, value := range accepted {
		requestID, text, _ := strings.Cut(value, " ")
		require.Equal(t, requestID, shown[text])
		again := b.push(alice, key, text)
		require.Equal(t, 409, again.Status)
		require.Equal(t, requestID, again.Header.Get("x-line-accepted-request-id"))
	}
	delivered := map[string]bool{}
	for _, body := range bot.received() {
		for _, e := range body.Events {
			delivered[string(e["message"])] = true
		}
	}
	for text := range written {
		require.Contains(t, shown, text)
		found := false
		for m := range delivered {
			found = found || strings.Contains(m, `"`+text+`"`)
		}
		require.True(t, found, "%s reached the bot", text)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}
