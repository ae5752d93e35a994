package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestTheBenchmarkLeavesADatabaseThatIsInUseAlone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		channel := withChannel(t, db)
		require.NoError(t, db.Populate(t.Context(), []store.Populated{{ChannelID: channel.ID, WorkstreamID: channel.WorkstreamID, Phase: conversation.PhaseServed, Messages: 2}}))
		code, stdout, stderr := run(t, complete(t, url), "bench", "--quick")
		require.Equal(t, 2, code, stderr)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "kaiwa: KAIWA_DATABASE_URL is wrong: the database has conversations")
	})
}

func TestTheBenchmarkNamesItsScenarios(t *testing.T) {
	t.Parallel()
	code, _, stderr := run(t, complete(t, "sqlite:"+t.TempDir()+"/kaiwa.db"), "bench", "--only=1,9")
	require.Equal(t, 2, code, stderr)
	require.Contains(t, stderr, "--only has 9: the scenarios are 1 to 7")
}
