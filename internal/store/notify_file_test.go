package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

// Another path to the same file stands for another process: what is told within
// one goes by the database's URL.
func TestAnotherProcessOnASQLiteFileIsToldThatTheRecordGrew(t *testing.T) {
	t.Parallel()
	here, url := storetest.New(t, "sqlite")
	i := strings.LastIndex(url, "/")
	there, err := store.Open(t.Context(), url[:i]+"/."+url[i:], store.Options{Keys: here.Keys()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, there.Close()) })
	ctx, stop := context.WithCancel(t.Context())
	told, ended := make(chan struct{}, 100), make(chan error, 1)
	go func() { ended <- there.ListenForRecords(ctx, func() { told <- struct{}{} }) }()
	<-told // it has begun
	// The watch begins a moment after: until it does, writes go unheard.
	heard := func() bool {
		_, err := here.CreateWorkstream(ctx, store.Origin{}, store.Workstream{Name: "Shop", Mode: store.ModePush})
		require.NoError(t, err)
		k := newTalk(t, here)
		k.receive(k.event("e1", "message", "hello"))
		k.ingest("", 0)
		select {
		case <-told:
			return true
		case <-time.After(50 * time.Millisecond):
			return false
		}
	}
	require.Eventually(t, heard, time.Minute, time.Millisecond)
	stop()
	require.NoError(t, <-ended)
}
