package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"kaiwa/internal/automessage"
	"kaiwa/internal/conversation"
	"kaiwa/internal/survey"
)

// The modes of a Workstream.
const (
	ModePush = "push" // conversations are offered to agents
	ModePick = "pick" // agents take them
)

// Workstream is how the conversations of its channels are handled.
type Workstream struct {
	ID              string
	Name            string
	Mode            string
	FallbackQueueID string // "" when there is none
	BotID           string // "" when people answer from the start
	Settings        WorkstreamSettings
	Version         int64
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// WorkstreamSettings is a workstream's JSON column. Whatever the store returns
// has its defaults filled in.
type WorkstreamSettings struct {
	Bot struct {
		DeadlineSeconds int64 `json:"deadline_seconds"` // for one answer; 0 means the default, 10
		IdleSeconds     int64 `json:"idle_seconds"`     // silence before the bot closes; 0 means 30 min
		MaxMisses       int64 `json:"max_misses"`       // turns without understanding until handoff; 0 means 3
	} `json:"bot"`
	AutoClose struct {
		OpenSeconds    int64 `json:"open_seconds"`    // 0 means 30 days
		ActiveSeconds  int64 `json:"active_seconds"`  // 0 means 30 days
		WaitingSeconds int64 `json:"waiting_seconds"` // 0 means 24 h
		WrapUpSeconds  int64 `json:"wrap_up_seconds"` // 0 means 1 day
	} `json:"auto_close"`
	// ReopenSeconds is how long after closing a message of the customer reopens
	// the same conversation; 0 is off.
	ReopenSeconds int64 `json:"reopen_seconds"`
	// ClassificationRulesetIDs say what a conversation is about, in order;
	// RouteRulesetID decides its queue, "" leaves that to the fallback queue.
	ClassificationRulesetIDs []string `json:"classification_ruleset_ids"`
	RouteRulesetID           string   `json:"route_ruleset_id,omitempty"`
	CapacityUnits            int64    `json:"capacity_units"` // what a conversation takes of an agent's capacity; 0 means 1
	// CapacityProfileID is what conversations count against instead of units; ""
	// is none.
	CapacityProfileID string `json:"capacity_profile_id,omitempty"`
	DefaultPriority   int64  `json:"default_priority"` // larger is served first
	// DispositionIDs are what an agent chooses from at wrap-up.
	DispositionIDs      []string           `json:"disposition_ids"`
	DispositionRequired bool               `json:"disposition_required"` // wrap-up is not finished without one
	Privacy             Privacy            `json:"privacy"`
	Assignment          Assignment         `json:"assignment"`
	WrapUp              WrapUp             `json:"wrap_up"`
	AutomatedMessages   []AutomatedMessage `json:"automated_messages"`
	TimeoutRules        []TimeoutRule      `json:"timeout_rules"` // the first acts first
	// SurveyID and BotSurveyID are what is asked after people and after bots; ""
	// is nothing. SurveyAfter says after which ends; nil means after people's
	// and after bots'.
	SurveyID    string             `json:"survey_id,omitempty"`
	BotSurveyID string             `json:"bot_survey_id,omitempty"`
	SurveyAfter []survey.Cause     `json:"survey_after,omitempty"`
	Attachments AttachmentSettings `json:"attachments"`
	Sending     Sending            `json:"sending,omitzero"`    // left out while it is off: see lockLane
	Courtesies  Courtesies         `json:"courtesies,omitzero"` // left out while nothing is set
	// Context is what a conversation's context variables begin with.
	Context map[string]string `json:"context"`
}

// Privacy is what customers are told and asked before anybody reads them.
type Privacy struct {
	Notice  bool   `json:"notice"`  // the privacy notice is shown, once a version
	Consent bool   `json:"consent"` // and must be agreed to
	Version string `json:"version"` // names the notice as it is worded now
}

// Assignment is how a workstream's conversations are offered to agents.
type Assignment struct {
	OfferTimeoutSeconds int64 `json:"offer_timeout_seconds"` // to answer an offer; 0 means 120
	// MaxOffers is how often one agent is offered one conversation; 0 means 3.
	MaxOffers int64 `json:"max_offers"`
	// Presences are those in which agents are offered something; none means
	// available.
	Presences []conversation.Presence `json:"presences"`
	// SkillMatching is how skills are held against those required, unless routing
	// says otherwise; "" means exact.
	SkillMatching conversation.Matching `json:"skill_matching"`
	// Affinity is whether who served last is offered it first; "" means prefer.
	Affinity AffinityMode `json:"affinity"`
	// Absent is what becomes of the conversations of an agent who is gone, ""
	// means reroute; AbsentAfterSeconds is how long they stay with the agent beside
	// conversation.PresenceGrace.
	Absent             AbsentMode `json:"absent"`
	AbsentAfterSeconds int64      `json:"absent_after_seconds"`
	// MissedOffersAway is how many offers in a row an agent lets run out until
	// they are away; 0 is off.
	MissedOffersAway int64 `json:"missed_offers_away"`
	AutoAccept       bool  `json:"auto_accept"` // offers are accepted for the agent
}

// AffinityMode is how far a workstream keeps the same agent.
type AffinityMode string

// The kinds of affinity.
const (
	AffinityOff     AffinityMode = "off"
	AffinityPrefer  AffinityMode = "prefer"  // for a while, then anyone
	AffinityRequire AffinityMode = "require" // as long as it takes
)

func (a *Assignment) defaults() {
	if a.OfferTimeoutSeconds == 0 {
		a.OfferTimeoutSeconds = 120
	}
	if a.MaxOffers == 0 {
		a.MaxOffers = 3
	}
	if len(a.Presences) == 0 {
		a.Presences = []conversation.Presence{conversation.PresenceAvailable}
	}
	if a.SkillMatching == "" {
		a.SkillMatching = conversation.MatchingExact
	}
	if a.Affinity == "" {
		a.Affinity = AffinityPrefer
	}
	if a.Absent == "" {
		a.Absent = AbsentReroute
	}
}

// AutomatedMessage overrides one automated message: another text, or none.
type AutomatedMessage struct {
	Trigger string `json:"trigger"`
	Locale  string `json:"locale"`            // "" for every locale
	Text    string `json:"text,omitempty"`    // "" keeps the default text
	Enabled *bool  `json:"enabled,omitempty"` // nil keeps the default
}

// Override is the message as the texts are chosen by.
func (m AutomatedMessage) Override() automessage.Override {
	return automessage.Override{Trigger: automessage.Trigger(m.Trigger), Locale: m.Locale, Text: m.Text, Enabled: m.Enabled}
}

// Overrides are lists of messages as the texts are chosen by, the most specific
// last.
func Overrides(lists ...[]AutomatedMessage) [][]automessage.Override {
	var layers [][]automessage.Override
	for _, list := range lists {
		layer := make([]automessage.Override, 0, len(list))
		for _, m := range list {
			layer = append(layer, m.Override())
		}
		layers = append(layers, layer)
	}
	return layers
}

// Defaults returns the settings with everything that was left out filled in.
func (w WorkstreamSettings) Defaults() WorkstreamSettings {
	for at, value := range map[*int64]int64{
		&w.Bot.DeadlineSeconds:      10,
		&w.Bot.IdleSeconds:          30 * 60,
		&w.Bot.MaxMisses:            3,
		&w.AutoClose.OpenSeconds:    30 * 24 * 3600,
		&w.AutoClose.ActiveSeconds:  30 * 24 * 3600,
		&w.AutoClose.WaitingSeconds: 24 * 3600,
		&w.AutoClose.WrapUpSeconds:  24 * 3600,
		&w.CapacityUnits:            1,
	} {
		if *at == 0 {
			*at = value
		}
	}
	w.Assignment.defaults()
	if w.WrapUp.Blocks == "" {
		w.WrapUp.Blocks = WrapUpAlways
	}
	for _, list := range []*[]string{&w.ClassificationRulesetIDs, &w.DispositionIDs} {
		if *list == nil {
			*list = []string{}
		}
	}
	w.Attachments.defaults()
	if w.AutomatedMessages == nil {
		w.AutomatedMessages = []AutomatedMessage{}
	}
	if w.TimeoutRules == nil {
		w.TimeoutRules = []TimeoutRule{}
	}
	if w.Context == nil {
		w.Context = map[string]string{}
	}
	return w
}

type workstreamRow struct {
	ID              string `db:"id"`
	Name            string `db:"name"`
	Mode            string `db:"mode"`
	FallbackQueueID string `db:"fallback_queue_id"`
	BotID           string `db:"bot_id"`
	Settings        string `db:"settings"`
	Version         int64  `db:"version"`
	CreatedAt       int64  `db:"created_at"`
	UpdatedAt       int64  `db:"updated_at"`
}

var workstreams = &family[Workstream, workstreamRow]{
	kind: "workstream", table: "workstreams", prefix: conversation.PrefixWorkstream,
	meta: func(w *Workstream) meta { return meta{&w.ID, &w.Name, &w.Version, &w.CreatedAt, &w.UpdatedAt} },
	seal: func(_ *Store, w Workstream) (workstreamRow, error) {
		settings, err := json.Marshal(w.Settings)
		return workstreamRow{w.ID, w.Name, w.Mode, w.FallbackQueueID, w.BotID, string(settings), w.Version, micros(w.CreatedAt), micros(w.UpdatedAt)}, err
	},
	open: func(_ *Store, r workstreamRow) (Workstream, error) {
		w := Workstream{ID: r.ID, Name: r.Name, Mode: r.Mode, FallbackQueueID: r.FallbackQueueID, BotID: r.BotID, Version: r.Version, CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt)}
		if err := json.Unmarshal([]byte(r.Settings), &w.Settings); err != nil {
			return w, fmt.Errorf("settings of workstream %s: %w", r.ID, err)
		}
		w.Settings = w.Settings.Defaults()
		return w, nil
	},
	facts: func(w Workstream) map[string]any {
		return map[string]any{
			"name": w.Name, "mode": w.Mode, "fallback_queue_id": w.FallbackQueueID, "bot_id": w.BotID,
			"settings/bot": w.Settings.Bot, "settings/auto_close": w.Settings.AutoClose, "settings/reopen_seconds": w.Settings.ReopenSeconds,
			"settings/classification_ruleset_ids": w.Settings.ClassificationRulesetIDs, "settings/route_ruleset_id": w.Settings.RouteRulesetID,
			"settings/capacity_units": w.Settings.CapacityUnits, "settings/default_priority": w.Settings.DefaultPriority,
			"settings/capacity_profile_id": w.Settings.CapacityProfileID,
			"settings/survey_id":           w.Settings.SurveyID, "settings/bot_survey_id": w.Settings.BotSurveyID, "settings/survey_after": w.Settings.SurveyAfter,
			"settings/disposition_ids": w.Settings.DispositionIDs, "settings/disposition_required": w.Settings.DispositionRequired,
			"settings/attachments": w.Settings.Attachments,
			"settings/privacy":     w.Settings.Privacy, "settings/assignment": w.Settings.Assignment, "settings/wrap_up": w.Settings.WrapUp,
			"settings/automated_messages": w.Settings.AutomatedMessages, "settings/context": w.Settings.Context,
			"settings/timeout_rules": w.Settings.TimeoutRules, "settings/sending": w.Settings.Sending, "settings/courtesies": w.Settings.Courtesies,
		}
	},
	uses: func(ctx context.Context, c conn, w Workstream) error {
		if w.FallbackQueueID != "" {
			if err := c.exists(ctx, "queues", w.FallbackQueueID, "/fallback_queue_id", "queue"); err != nil {
				return err
			}
		}
		if w.BotID != "" {
			if err := c.exists(ctx, "bots", w.BotID, "/bot_id", "bot"); err != nil {
				return err
			}
		}
		return c.settingsUse(ctx, w.Settings)
	},
	changed: func(ctx context.Context, c conn, before, after Workstream) error {
		return c.noteRuleChange(ctx, rulesOfWorkstream, after.ID, after.Settings.sooner(before.Settings)...)
	},
	unused: func(ctx context.Context, c conn, w Workstream) error {
		if err := c.inUse(ctx, "The channel %q uses this workstream. Give it another workstream first.",
			"SELECT name FROM channels WHERE workstream_id = $1 AND status <> 'deleted'", w.ID); err != nil {
			return err
		}
		if err := c.inUse(ctx, "The quick reply %q is for this workstream. Take it out there first.",
			`SELECT title FROM quick_replies WHERE workstream_ids LIKE $1 ESCAPE '\'`, named(w.ID)); err != nil {
			return err
		}
		return c.inUse(ctx, "The conversation %q of this workstream is live. Close it first.",
			"SELECT id FROM conversations WHERE workstream_id = $1 AND status <> 'closed'", w.ID)
	},
}

// settingsUse checks, and locks, what a workstream's settings refer to.
func (c conn) settingsUse(ctx context.Context, w WorkstreamSettings) error {
	classification, route, dispositions, asked := references{}, references{}, references{}, references{}
	for i, id := range w.ClassificationRulesetIDs {
		classification.add(id, fmt.Sprintf("/settings/classification_ruleset_ids/%d", i))
	}
	if w.RouteRulesetID != "" {
		route.add(w.RouteRulesetID, "/settings/route_ruleset_id")
	}
	for i, id := range w.DispositionIDs {
		dispositions.add(id, fmt.Sprintf("/settings/disposition_ids/%d", i))
	}
	if err := c.exist(ctx, "rulesets WHERE kind = '"+RulesetClassification+"'", "classification ruleset", classification); err != nil {
		return err
	}
	if err := c.exist(ctx, "rulesets WHERE kind = '"+RulesetRoute+"'", "route ruleset", route); err != nil {
		return err
	}
	if w.CapacityProfileID != "" {
		if err := c.exists(ctx, "capacity_profiles", w.CapacityProfileID, "/settings/capacity_profile_id", "capacity profile"); err != nil {
			return err
		}
	}
	if w.SurveyID != "" {
		asked.add(w.SurveyID, "/settings/survey_id")
	}
	if w.BotSurveyID != "" {
		asked.add(w.BotSurveyID, "/settings/bot_survey_id")
	}
	if err := c.exist(ctx, "surveys", "survey", asked); err != nil {
		return err
	}
	return c.exist(ctx, "dispositions", "disposition", dispositions)
}

// Workstream reads one workstream; CodeNotFound when there is none.
func (s *Store) Workstream(ctx context.Context, id string) (Workstream, error) {
	return workstreams.get(ctx, s, s.read(), id, "")
}

// Workstreams lists workstreams, oldest first.
func (s *Store) Workstreams(ctx context.Context, after Cursor, limit int) ([]Workstream, error) {
	return workstreams.list(ctx, s, after, limit)
}

// CreateWorkstream stores a workstream; CodeInvalid when its queue or bot is
// not there.
func (s *Store) CreateWorkstream(ctx context.Context, by Origin, w Workstream) (Workstream, error) {
	return workstreams.create(ctx, s, by, w)
}

// UpdateWorkstream changes a workstream: CodeNotFound, CodeVersionStale,
// CodeInvalid. It applies to the next step of its conversations; those whose
// deadline it brings nearer are woken for it.
func (s *Store) UpdateWorkstream(ctx context.Context, by Origin, id string, version int64, change func(*Workstream) error) (Workstream, error) {
	return workstreams.update(ctx, s, by, id, version, change)
}

// DeleteWorkstream deletes a workstream: CodeNotFound, CodeVersionStale,
// CodeInUse while a channel uses it or a conversation of it is live.
func (s *Store) DeleteWorkstream(ctx context.Context, by Origin, id string, version int64) error {
	return workstreams.delete(ctx, s, by, id, version)
}

// CheckWorkstream says, as UpdateWorkstream would, whether what a workstream
// refers to is there. The rulesets of the ids besides are taken to be.
func (s *Store) CheckWorkstream(ctx context.Context, w Workstream, besides ...string) error {
	settings := &w.Settings
	settings.ClassificationRulesetIDs = slices.DeleteFunc(slices.Clone(settings.ClassificationRulesetIDs), func(id string) bool { return slices.Contains(besides, id) })
	if slices.Contains(besides, settings.RouteRulesetID) {
		settings.RouteRulesetID = ""
	}
	return s.tx(ctx, func(c conn) error { return workstreams.uses(ctx, c, w) })
}

// Plan is what a conversation of a channel needs to know in one go.
type Plan struct {
	Channel    Channel
	Workstream Workstream
	Bot        *Bot // nil when the workstream has none
	// ServicesMS sums the deadlines of the services among the workstream's
	// classification rulesets, in milliseconds; 0 when there are none.
	ServicesMS int64
}

// Plan reads a channel with its workstream and bot, in one statement.
// CodeNotFound when the channel, or the workstream of a deleted one, is not
// there. As in Channel, deleted channels are returned.
func (s *Store) Plan(ctx context.Context, channelID string) (Plan, error) {
	var row struct {
		Channel    channelRow    `db:"channel"`
		Workstream workstreamRow `db:"workstream"`
		Bot        botRow        `db:"bot"`
		ServicesMS int64         `db:"services_ms"`
	}
	found, err := s.read().get(ctx, &row, planQuery, channelID)
	if err != nil {
		return Plan{}, err
	}
	if !found {
		return Plan{}, channels.notFound(channelID)
	}
	p := Plan{ServicesMS: row.ServicesMS}
	if p.Channel, err = channels.open(s, row.Channel); err != nil {
		return Plan{}, err
	}
	if p.Workstream, err = workstreams.open(s, row.Workstream); err != nil {
		return Plan{}, err
	}
	if row.Bot.ID != "" {
		bot, err := bots.open(s, row.Bot)
		if err != nil {
			return Plan{}, err
		}
		p.Bot = &bot
	}
	return p, nil
}

var planQuery = "SELECT " + prefixed[channelRow]("c.%s", "channel") + ", " + prefixed[workstreamRow]("w.%s", "workstream") + `,
	COALESCE(b.id, '') AS "bot.id", COALESCE(b.name, '') AS "bot.name", COALESCE(b.kind, '') AS "bot.kind", COALESCE(b.url, '') AS "bot.url",
	COALESCE(b.secret, '') AS "bot.secret", COALESCE(b.script, '') AS "bot.script",
	COALESCE(b.sender_name, '') AS "bot.sender_name", COALESCE(b.sender_icon_url, '') AS "bot.sender_icon_url", COALESCE(b.version, 0) AS "bot.version",
	COALESCE(b.created_at, 0) AS "bot.created_at", COALESCE(b.updated_at, 0) AS "bot.updated_at",
	COALESCE((SELECT sum(r.deadline_ms) FROM rulesets r WHERE r.deadline_ms > 0 AND w.settings LIKE '%"' || r.id || '"%'), 0) AS services_ms
	FROM channels c JOIN workstreams w ON w.id = c.workstream_id LEFT JOIN bots b ON b.id = w.bot_id WHERE c.id = $1`

// prefixed lists the columns of R for one statement that reads several rows.
func prefixed[R any](expression, name string) string {
	list := ""
	for i, column := range columns[R]() {
		if i > 0 {
			list += ", "
		}
		list += fmt.Sprintf(expression+` AS "%s.%s"`, column, name, column)
	}
	return list
}
