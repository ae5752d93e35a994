package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/survey"
)

// Survey is what is asked after a conversation. An invitation keeps the questions
// as they were when it was sent.
type Survey struct {
	ID   string
	Name string
	survey.Settings
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

type surveyRow struct {
	ID        string `db:"id"`
	Name      string `db:"name"`
	Settings  string `db:"settings"`
	Version   int64  `db:"version"`
	CreatedAt int64  `db:"created_at"`
	UpdatedAt int64  `db:"updated_at"`
}

var surveys = &family[Survey, surveyRow]{
	kind: "survey", table: "surveys", prefix: conversation.PrefixSurvey,
	meta: func(v *Survey) meta { return meta{&v.ID, &v.Name, &v.Version, &v.CreatedAt, &v.UpdatedAt} },
	seal: func(_ *Store, v Survey) (surveyRow, error) {
		settings, err := json.Marshal(v.Settings)
		return surveyRow{v.ID, v.Name, string(settings), v.Version, micros(v.CreatedAt), micros(v.UpdatedAt)}, err
	},
	open: func(_ *Store, r surveyRow) (Survey, error) {
		v := Survey{ID: r.ID, Name: r.Name, Version: r.Version, CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt)}
		if err := json.Unmarshal([]byte(r.Settings), &v.Settings); err != nil {
			return v, fmt.Errorf("settings of survey %s: %w", r.ID, err)
		}
		v.Settings = v.Settings.Defaults()
		return v, nil
	},
	facts: func(v Survey) map[string]any {
		return map[string]any{"name": v.Name, "mode": v.Mode, "expires_seconds": v.ExpiresSeconds, "questions": v.Questions}
	},
	uses: none[Survey],
	unused: func(ctx context.Context, c conn, v Survey) error {
		return c.inUse(ctx, "The workstream %q uses this survey. Take it out there first.",
			`SELECT name FROM workstreams WHERE settings LIKE $1 ESCAPE '\'`, named(v.ID))
	},
}

// Survey reads one survey; CodeNotFound when there is none.
func (s *Store) Survey(ctx context.Context, id string) (Survey, error) {
	return surveys.get(ctx, s, s.read(), id, "")
}

// Surveys lists surveys, oldest first.
func (s *Store) Surveys(ctx context.Context, after Cursor, limit int) ([]Survey, error) {
	return surveys.list(ctx, s, after, limit)
}

// CreateSurvey stores a survey.
func (s *Store) CreateSurvey(ctx context.Context, by Origin, v Survey) (Survey, error) {
	return surveys.create(ctx, s, by, v)
}

// UpdateSurvey changes a survey: CodeNotFound, CodeVersionStale.
func (s *Store) UpdateSurvey(ctx context.Context, by Origin, id string, version int64, change func(*Survey) error) (Survey, error) {
	return surveys.update(ctx, s, by, id, version, change)
}

// DeleteSurvey deletes a survey: CodeNotFound, CodeVersionStale, CodeInUse
// while a workstream uses it.
func (s *Store) DeleteSurvey(ctx context.Context, by Origin, id string, version int64) error {
	return surveys.delete(ctx, s, by, id, version)
}
