package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/clamd/clamdtest"
	"kaiwa/internal/conversation"
	"kaiwa/internal/linesim"
	"kaiwa/internal/store"
)

// maxMemory is what a process of Kaiwa's may take at most, in bytes, while files
// larger than that pass through it.
const maxMemory = 128 << 20

// largeFilm gives an MP4 of a size, without having it anywhere.
func largeFilm(size int64) io.Reader {
	head := []byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom")
	return io.MultiReader(bytes.NewReader(head), io.LimitReader(zeros{}, size-int64(len(head))))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// peak is the most memory that a process has ever had, in bytes.
func (m *member) peak() int64 {
	m.p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	require.NoError(m.p.t, err)
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindStringSubmatch(string(status))
	require.NotNil(m.p.t, found)
	kb, err := strconv.ParseInt(found[1], 10, 64)
	require.NoError(m.p.t, err)
	return kb << 10
}

func TestTwoHundredMegabytesPassThroughLittleMemory(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("only Linux tells how much memory a process has had")
	}
	t.Parallel()
	const size = store.MaxAttachmentSize
	p := startProduction(t)
	ctx := t.Context()
	workstream, err := p.store.Workstream(ctx, p.channel.WorkstreamID)
	require.NoError(t, err)
	_, err = p.store.UpdateWorkstream(ctx, store.Origin{}, workstream.ID, workstream.Version, func(w *store.Workstream) error {
		w.Settings.Attachments.MaxBytes = size
		return nil
	})
	require.NoError(t, err)
	agent, err := p.store.CreateAgent(ctx, store.Origin{}, store.Agent{Name: "Aoi", Email: "aoi@example.com", Role: store.RoleAgent, Locale: "ja"})
	require.NoError(t, err)
	token := store.NewTokenValue()
	_, err = p.store.IssueToken(ctx, store.Origin{}, store.Token{AgentID: agent.ID, Name: "test", Role: store.RoleAgent}, token)
	require.NoError(t, err)
	want := sha256.New()
	_, err = io.Copy(want, largeFilm(size))
	require.NoError(t, err)
	digest := hex.EncodeToString(want.Sum(nil))

	// LINE's data API gives the large file in place of what the simulator has.
	data := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/content") {
			p.sim.Handler().ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "video/mp4")
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = io.Copy(w, largeFilm(size)) // a fetch that ends early is tried again
	}))
	scanner := clamdtest.Start(t, "StreamMaxLength 250M", "MaxFileSize 250M", "MaxScanSize 250M")
	p.env = append(p.env, "KAIWA_LINE_DATA_API_URL="+data, "KAIWA_CLAMD_ADDR="+scanner.Address, "GOMEMLIMIT=100MiB")
	code, _, said := p.run("migrate")
	require.Zero(t, code, said)
	api, worker := p.launch("api"), p.launch("worker")
	p.balancer.change(api.url)

	// In: from LINE into the bucket.
	user := linesim.NewUserID()
	require.NoError(t, p.sim.AddUser(ctx, linesim.User{ID: user, DisplayName: "Aoi"}))
	none := 0
	_, err = p.sim.Send(ctx, productionLINE, user, linesim.Message{Type: "video", Content: []byte("film"), DurationMS: 1000, NotReady: &none})
	require.NoError(t, err)
	var in store.Attachment
	var conv store.Conversation
	p.until(func() bool {
		list, err := p.store.Conversations(ctx, store.ConversationFilter{}, store.Position{}, 10)
		require.NoError(t, err)
		if len(list) == 0 {
			return false
		}
		conv = list[0]
		m := p.transcript(conv.ID)
		if len(m) == 0 {
			return false
		}
		in, err = p.store.Attachment(ctx, m[0].AttachmentID)
		return err == nil && in.State != conversation.AttachmentPending
	}, "the film is fetched")
	require.Equal(t, [3]any{conversation.AttachmentStored, int64(size), digest}, [3]any{in.State, in.Size, in.SHA256})

	// And in by the API, and out again.
	body, into := io.Pipe()
	form := multipart.NewWriter(into)
	go func() {
		part, err := form.CreateFormFile("file", "film.mp4")
		if err == nil {
			_, err = io.Copy(part, largeFilm(size))
		}
		if err == nil {
			err = form.Close()
		}
		_ = into.CloseWithError(err) // never fails
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, api.url+"/api/v1/conversations/"+conv.ID+"/attachments", body)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Idempotency-Key", "large")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, res.StatusCode, string(answer))
	var up struct {
		Size   int64
		SHA256 string
		URL    string
	}
	require.NoError(t, json.Unmarshal(answer, &up))
	require.Equal(t, [2]any{int64(size), digest}, [2]any{up.Size, up.SHA256})
	got := sha256.New()
	_, link, _ := strings.Cut(up.URL, "/files/")
	file, err := http.Get(api.url + "/files/" + link)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Body.Close()) }()
	n, err := io.Copy(got, file.Body)
	require.NoError(t, err)
	require.Equal(t, [2]any{int64(size), digest}, [2]any{n, hex.EncodeToString(got.Sum(nil))})

	for name, m := range map[string]*member{"worker": worker, "api": api} {
		t.Logf("%s: at most %d MB of memory, while %d MB passed through", name, m.peak()>>20, size>>20)
		require.Less(t, m.peak(), int64(maxMemory), name)
	}
}
