package storetest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kaiwa/internal/store"
	"kaiwa/internal/store/storetest"
)

func TestEveryDatabaseIsMigratedAndItsOwn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		current, err := s.SchemaCurrent(t.Context())
		require.NoError(t, err)
		require.True(t, current)
		made, err := s.CreateQueue(t.Context(), store.Origin{}, store.Queue{Name: "one"})
		require.NoError(t, err)
		all, err := s.Queues(t.Context(), store.Cursor{}, 10)
		require.NoError(t, err)
		require.Equal(t, []store.Queue{made}, all)
	})
}

func TestADatabaseOpensAgainByItsURL(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects() {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s, url := storetest.New(t, dialect)
			made, err := s.CreateQueue(t.Context(), store.Origin{}, store.Queue{Name: "one"})
			require.NoError(t, err)
			again, err := storetest.Open(t, url).Queue(t.Context(), made.ID)
			require.NoError(t, err)
			require.Equal(t, made, again)
		})
	}
}
