package line

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuota(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		limit, used string
		want        Quota
		spent       bool
	}{
		"limited":   {`{"type":"limited","value":200}`, `{"totalUsage":17}`, Quota{"req-2", 200, 17}, false},
		"spent":     {`{"type":"limited","value":200}`, `{"totalUsage":200}`, Quota{"req-2", 200, 200}, true},
		"unlimited": {`{"type":"none"}`, `{"totalUsage":1000000}`, Quota{"req-2", -1, 1000000}, false},
		"no pushes": {`{"type":"limited"}`, `{"totalUsage":0}`, Quota{"req-2", 0, 0}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, err := setup(t, quotaOf(tc.limit, tc.used)).Quota(t.Context())
			require.NoError(t, err)
			require.Equal(t, tc.want, q)
			require.Equal(t, tc.spent, q.Lacks(1))
			require.Equal(t, tc.want.Limit >= 0, q.Lacks(184), "as many as a group has members")
		})
	}
	_, err := setup(t, quotaOf(`{"type":"none"}`, ``)).Quota(t.Context())
	require.Equal(t, ClassServer, ClassOf(err))
}

func quotaOf(limit, used string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body := limit
		if strings.HasSuffix(r.URL.Path, "/consumption") {
			body = used
		}
		_, _ = io.WriteString(w, body)
	}
}

func TestClassify429AsksForTheQuota(t *testing.T) {
	t.Parallel()
	const left, spent = `{"type":"limited","value":200}`, `{"type":"limited","value":10}`
	for _, tc := range []struct {
		said  Class
		quota string
		want  Class
	}{
		{ClassRateLimited, left, ClassRateLimited},
		{ClassRateLimited, spent, ClassQuota},
		{ClassQuota, left, ClassRateLimited},
		{ClassQuota, spent, ClassQuota},
		{ClassTooManyToUser, left, ClassTooManyToUser},
		{ClassTooManyToUser, spent, ClassQuota},
		{ClassServer, spent, ClassServer},
	} {
		got, _, err := setup(t, quotaOf(tc.quota, `{"totalUsage":10}`)).Classify429(t.Context(), &Error{Class: tc.said}, 1)
		require.NoError(t, err)
		require.Equal(t, tc.want, got, tc)
	}
	got, _, err := setup(t, say(500, ``)).Classify429(t.Context(), &Error{Class: ClassQuota}, 1)
	require.Equal(t, ClassServer, ClassOf(err))
	require.Equal(t, ClassQuota, got, "without the truth the hint stands")
}
