package store

import (
	"context"
	"slices"

	"kaiwa/internal/conversation"
)

// OfferView is what an agent sees of what is on offer to them.
type OfferView struct {
	Offer
	DisplayName  string    `db:"display_name"`
	PictureURL   string    `db:"picture_url"`
	Language     string    `db:"language"`
	ContactID    string    `db:"contact_id"` // "" when nobody knows who it is
	ContactName  string    `db:"contact_name"`
	Earlier      int64     `db:"earlier"` // conversations of the same chat before this one
	QueueName    string    `db:"queue_name"`
	Skills       string    `db:"skills"` // JSON
	Priority     int64     `db:"priority"`
	WaitingSince int64     `db:"waiting_since"` // microseconds, since the customer first waited
	Summary      string    `db:"summary"`       // the bot's words for the agent
	Messages     []Message // the last few, oldest first
}

// offerMessages is how many messages an offer shows.
const offerMessages = 5

// OfferViews lists what is on offer to an agent with what they need to decide,
// the oldest first.
func (s *Store) OfferViews(ctx context.Context, agentID string) ([]OfferView, error) {
	type viewed struct {
		offerRow
		OfferView
	}
	var rows []viewed
	if err := s.read().list(ctx, &rows, `SELECT o.id, o.conversation_id, o.agent_id, o.queue_id, o.epoch, o.units, o.state, o.created_at, o.expires_at,
			coalesce(p.display_name, '') AS display_name, coalesce(p.picture_url, '') AS picture_url,
			CASE WHEN c.language <> '' THEN c.language ELSE coalesce(p.language, '') END AS language,
			coalesce(k.id, '') AS contact_id, coalesce(k.name, '') AS contact_name, coalesce(q.name, '') AS queue_name,
			(SELECT count(*) FROM conversations e WHERE e.channel_id = c.channel_id AND e.chat_key = c.chat_key AND e.created_at < c.created_at) AS earlier,
			c.skills, c.priority, c.first_waited_at AS waiting_since, c.summary
		FROM offers o JOIN conversations c ON c.id = o.conversation_id
			LEFT JOIN social_profiles p ON p.id = c.profile_id LEFT JOIN contacts k ON k.id = c.contact_id LEFT JOIN queues q ON q.id = o.queue_id
		WHERE o.agent_id = $1 AND o.state = 'live'`, agentID); err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b viewed) int { return a.compare(b.offerRow) })
	views := make([]OfferView, len(rows))
	for i, r := range rows {
		views[i] = r.OfferView
		views[i].Offer = r.offer()
		if err := s.read().list(ctx, &views[i].Messages, `SELECT `+messageColumns+` FROM messages
			WHERE conversation_id = $1 AND NOT held ORDER BY occurred_at DESC, ordinal DESC, id DESC`+limitTo(offerMessages), r.ConversationID); err != nil {
			return nil, err
		}
		slices.Reverse(views[i].Messages)
	}
	return views, nil
}

// Names reads the names of configured things by their ids; what is no more has
// none.
func (s *Store) Names(ctx context.Context, ids []string) (map[string]string, error) {
	names := map[string]string{}
	byTable := map[string][]string{}
	for _, id := range ids {
		if table := tableOf(id); table != "" {
			byTable[table] = append(byTable[table], id)
		}
	}
	for table, ids := range byTable {
		var rows []struct {
			ID   string `db:"id"`
			Name string `db:"name"`
		}
		in, args := placeholders(ids, 1)
		if err := s.read().list(ctx, &rows, `SELECT id, name FROM `+table+` WHERE id IN (`+in+`)`, args...); err != nil {
			return nil, err
		}
		for _, r := range rows {
			names[r.ID] = r.Name
		}
	}
	return names, nil
}

// tableOf tells where the thing of an id is configured; "" for other ids.
func tableOf(id string) string {
	for prefix, table := range map[conversation.Prefix]string{
		conversation.PrefixAgent: "agents", conversation.PrefixQueue: "queues", conversation.PrefixSkill: "skills",
		conversation.PrefixRuleset: "rulesets", conversation.PrefixBot: "bots", conversation.PrefixWorkstream: "workstreams",
		conversation.PrefixCapacityProfile: "capacity_profiles",
	} {
		if conversation.ValidID(prefix, id) {
			return table
		}
	}
	return ""
}
