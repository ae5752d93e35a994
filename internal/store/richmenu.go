package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"kaiwa/internal/conversation"
)

// RichMenus are the rich menus of LINE's, by id, that a channel's customers see,
// by who has their conversation. "" is the account's default menu. Where all are
// "", Kaiwa leaves menus alone.
type RichMenus struct {
	Bot   string `json:"bot,omitempty"`
	Queue string `json:"queue,omitempty"` // they wait for an agent
	Agent string `json:"agent,omitempty"`
	None  string `json:"none,omitempty"` // nobody has it: it is closed, or waits for the customer, or there was none
}

// On tells whether any menu is set.
func (m RichMenus) On() bool { return m != RichMenus{} }

// Of is the menu while owner has the conversation.
func (m RichMenus) Of(owner conversation.Owner) string {
	switch owner {
	case conversation.OwnerBot:
		return m.Bot
	case conversation.OwnerQueue:
		return m.Queue
	case conversation.OwnerAgent:
		return m.Agent
	}
	return m.None
}

// IDs lists the menus that are set, each once.
func (m RichMenus) IDs() []string {
	ids := slices.DeleteFunc([]string{m.Bot, m.Queue, m.Agent, m.None}, func(id string) bool { return id == "" })
	slices.Sort(ids)
	return slices.Compact(ids)
}

// RichMenuRefusal says that LINE does not show a rich menu to anybody.
type RichMenuRefusal struct {
	Since   time.Time `json:"since"`
	Because string    `json:"because"`  // LINE's words
	RetryAt time.Time `json:"retry_at"` // it is not asked for again before
}

// SetRichMenus gives the channel rich menus. Those that LINE refused are tried anew.
func (c *Channel) SetRichMenus(m RichMenus) { c.RichMenus, c.RichMenusRefused = m, nil }

// jsonOrNone is a value as JSON, "" for the zero value of a setting.
func jsonOrNone(v any, zero bool) (string, error) {
	if zero {
		return "", nil
	}
	out, err := json.Marshal(v)
	return string(out), err
}

// Events of a channel's rich menus.
const (
	eventMenuRefused  = "channel.rich_menu_refused"
	eventMenuAccepted = "channel.rich_menu_accepted"
)

// CustomerMenu is what is known of the rich menu of a chat.
type CustomerMenu struct {
	UserID string             `db:"user_id"` // "" where none can be shown: in groups and rooms, in standby, to those who block the account
	Owner  conversation.Owner `db:"owner"`   // who has the chat's last conversation
	Shown  string             `db:"shown"`   // what LINE shows; "" is the account's default
	Number int64              `db:"number"`  // of what was last noted, see RichMenuShown
}

// CustomerMenu reads what is known of the rich menu of a chat.
func (s *Store) CustomerMenu(ctx context.Context, channelID, chatKey string) (CustomerMenu, error) {
	m := CustomerMenu{Owner: conversation.OwnerNone}
	_, err := s.read().get(ctx, &m, `SELECT
			coalesce(CASE WHEN p.line_user_id LIKE 'U%' AND p.friendship <> 'blocked' AND NOT t.standby THEN p.line_user_id END, '') AS user_id,
			coalesce((SELECT owner FROM conversations c WHERE c.channel_id = $1 AND c.chat_key = $2 ORDER BY c.created_at DESC LIMIT 1), 'none') AS owner,
			coalesce(m.rich_menu_id, '') AS shown, coalesce(m.number, 0) AS number
		FROM chats t LEFT JOIN social_profiles p ON p.channel_id = t.channel_id AND p.chat_key = t.chat_key
			LEFT JOIN rich_menus_shown m ON m.channel_id = t.channel_id AND m.chat_key = t.chat_key
		WHERE t.channel_id = $1 AND t.chat_key = $2`, channelID, chatKey)
	if err != nil {
		return m, fmt.Errorf("rich menu of chat %s of channel %s: %w", chatKey, channelID, err)
	}
	return m, nil
}

// RichMenuShown notes that LINE shows a menu in a chat, "" for the account's
// default. alone tells that nobody has noted another since was read: otherwise
// calls to LINE overlapped, and which of them came last nobody knows.
func (s *Store) RichMenuShown(ctx context.Context, channelID, chatKey string, was CustomerMenu, menuID string) (alone bool, err error) {
	var number int64
	_, err = s.write().get(ctx, &number, `INSERT INTO rich_menus_shown (channel_id, chat_key, rich_menu_id, number) VALUES ($1, $2, $3, 1)
		ON CONFLICT (channel_id, chat_key) DO UPDATE SET rich_menu_id = excluded.rich_menu_id, number = rich_menus_shown.number + 1
		RETURNING number`, channelID, chatKey, menuID)
	if err != nil {
		return false, fmt.Errorf("note the rich menu of chat %s of channel %s: %w", chatKey, channelID, err)
	}
	return number == was.Number+1, nil
}

// DueMenu is a chat whose rich menu somebody is to look after.
type DueMenu struct {
	ChatKey string `db:"chat_key"`
	DueAt   int64  `db:"due_at"` // Unix microseconds
}

// RichMenuDue has the rich menu of a chat looked after at a time, at the earliest
// when the channel is no longer held: see ChannelsToTend.
func (s *Store) RichMenuDue(ctx context.Context, channelID, chatKey string, at time.Time) error {
	err := s.tx(ctx, func(c conn) error { return c.richMenuDue(ctx, channelID, chatKey, at) })
	if err != nil {
		return fmt.Errorf("rich menu of chat %s of channel %s: %w", chatKey, channelID, err)
	}
	return nil
}

func (c conn) richMenuDue(ctx context.Context, channelID, chatKey string, at time.Time) error {
	if err := c.tendChannel(ctx, channelID, at); err != nil { // the channel's row first, as whoever changes it
		return err
	}
	_, err := c.exec(ctx, `INSERT INTO rich_menus_shown (channel_id, chat_key, rich_menu_id, number, due_at) VALUES ($1, $2, '', 1, $3)
		ON CONFLICT (channel_id, chat_key) DO UPDATE SET due_at = excluded.due_at`, channelID, chatKey, micros(at))
	return err
}

// tendChannel has a channel looked after at a time, if it is not anyway before
// that. Where it is being looked after now, it is once more; one that is held is
// looked after as that wants it.
func (c conn) tendChannel(ctx context.Context, id string, at time.Time) error {
	_, err := c.exec(ctx, `UPDATE channels SET tend_at = CASE WHEN tend_at > $1 AND tend_at <= $2 THEN tend_at WHEN tend_at > 0 AND tend_at <= $1 THEN $1 ELSE $2 END
		WHERE id = $3 AND held_at = 0`, micros(c.s.now()), micros(at), id)
	return err
}

// RichMenusDue lists the chats of a channel whose rich menu is due, longest first,
// and tells when the next one is that is not; the zero time for never.
func (s *Store) RichMenusDue(ctx context.Context, channelID string, limit int) (due []DueMenu, next time.Time, err error) {
	now := micros(s.now())
	if err := s.read().list(ctx, &due, `SELECT chat_key, due_at FROM rich_menus_shown
		WHERE channel_id = $1 AND due_at > 0 ORDER BY due_at LIMIT $2`, channelID, limit+1); err != nil {
		return nil, time.Time{}, fmt.Errorf("rich menus of channel %s that are due: %w", channelID, err)
	}
	for i, d := range due {
		if d.DueAt > now || i == limit {
			return due[:i], fromMicros(d.DueAt), nil
		}
	}
	return due, time.Time{}, nil
}

// RichMenuTended notes that the rich menu of a chat was looked after. What became
// due meanwhile stays so.
func (s *Store) RichMenuTended(ctx context.Context, channelID string, d DueMenu) error {
	_, err := s.write().exec(ctx, `UPDATE rich_menus_shown SET due_at = 0 WHERE channel_id = $1 AND chat_key = $2 AND due_at = $3`, channelID, d.ChatKey, d.DueAt)
	return err
}

// richMenusChanged has every customer looked after whom the channel has ever shown
// a menu, where it shows others than before.
func (c conn) richMenusChanged(ctx context.Context, before, after Channel) error {
	gone := after.Status == ChannelDeleted && before.Status != ChannelDeleted && before.RichMenus.On()
	asked := len(before.RichMenusRefused) > 0 && len(after.RichMenusRefused) == 0
	if before.RichMenus == after.RichMenus && !gone && !asked {
		return nil
	}
	now := c.s.now()
	n, err := c.exec(ctx, `UPDATE rich_menus_shown SET due_at = $1 WHERE channel_id = $2`, micros(now), after.ID)
	if err != nil || n == 0 {
		return err
	}
	return c.tendChannel(ctx, after.ID, now)
}

// RefuseRichMenu notes that LINE shows one of a channel's rich menus to nobody, in
// which words, and until when it is not asked for again. It is told of once.
func (s *Store) RefuseRichMenu(ctx context.Context, channelID, menuID, said string, retryAt time.Time) error {
	return s.refusedMenus(ctx, channelID, func(refused map[string]RichMenuRefusal) string {
		r, known := refused[menuID]
		r.Because, r.RetryAt = said, retryAt.UTC().Truncate(time.Microsecond)
		if !known {
			r.Since = s.now().UTC().Truncate(time.Microsecond)
		}
		refused[menuID] = r
		if known {
			return ""
		}
		return eventMenuRefused
	}, menuID)
}

// AcceptRichMenu notes that LINE shows a rich menu that it did not.
func (s *Store) AcceptRichMenu(ctx context.Context, channelID, menuID string) error {
	return s.refusedMenus(ctx, channelID, func(refused map[string]RichMenuRefusal) string {
		if _, known := refused[menuID]; !known {
			return ""
		}
		delete(refused, menuID)
		return eventMenuAccepted
	}, menuID)
}

// refusedMenus changes what is known of a channel's menus that LINE refuses. Of
// menus that the channel no longer shows nothing is kept.
func (s *Store) refusedMenus(ctx context.Context, channelID string, change func(map[string]RichMenuRefusal) (event string), menuID string) error {
	err := s.tx(ctx, func(c conn) error {
		ch, err := channels.get(ctx, s, c, channelID, s.d.forUpdate())
		if err != nil || !slices.Contains(ch.RichMenus.IDs(), menuID) {
			return err
		}
		refused := maps.Clone(ch.RichMenusRefused)
		if refused == nil {
			refused = map[string]RichMenuRefusal{}
		}
		event := change(refused)
		row, err := jsonOrNone(refused, len(refused) == 0)
		if err != nil {
			return err
		}
		if _, err := c.exec(ctx, `UPDATE channels SET rich_menus_refused = $1 WHERE id = $2`, row, channelID); err != nil || event == "" {
			return err
		}
		return c.record(ctx, event, "", channelID, fmt.Sprintf(`{"rich_menu_id":%q}`, menuID), micros(s.now()))
	})
	if err != nil {
		return fmt.Errorf("rich menu %s of channel %s: %w", menuID, channelID, err)
	}
	return nil
}
