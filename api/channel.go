package api

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/store"
)

// defaultGrace is how long a replaced channel secret is accepted.
const defaultGrace = 24 * time.Hour

func (s *Server) callbackURL(channelID string) string {
	return s.publicURL + "/webhooks/line/" + channelID
}

func (s *Server) showChannel(c store.Channel, whileDisabled int64, suspended time.Time) Channel {
	return Channel{
		ID: c.ID, Name: c.Name, LINEChannelID: c.LINEChannelID, BotUserID: c.BotUserID, BasicID: c.BasicID, ChatMode: c.ChatMode,
		WorkstreamID: c.WorkstreamID, Locale: c.Locale, Status: ChannelStatus(c.Status), GroupChats: c.GroupChats, AccountLinking: showAccountLinking(c.AccountLinking),
		RichMenus: c.RichMenus, RichMenuProblems: showMenuProblems(c),
		AutomatedMessages: append([]store.AutomatedMessage{}, c.AutomatedMessages...), CallbackURL: s.callbackURL(c.ID),
		PreviousSecretUntil: Time(c.PreviousUntil), EventsWhileDisabled: whileDisabled, AccessToken: showAccessToken(c), SuspendedSince: Time(suspended),
		Version: c.Version, CreatedAt: Time(c.CreatedAt), UpdatedAt: Time(c.UpdatedAt),
	}
}

func (s *Server) channelResponse(ctx context.Context, c store.Channel) (ChannelJSONResponse, error) {
	counts, err := s.store.EventsWhileDisabled(ctx, c.ID)
	if err != nil {
		return ChannelJSONResponse{}, err
	}
	suspended, err := s.store.Suspensions(ctx, c.ID)
	return ChannelJSONResponse{Body: s.showChannel(c, counts[c.ID], suspended[c.ID]), Headers: ChannelResponseHeaders{ETag: etag(c.Version)}}, err
}

// channel reads a channel that is there for callers.
func (s *Server) channel(ctx context.Context, id string) (store.Channel, error) {
	c, err := s.store.Channel(ctx, id)
	if err == nil && c.Status == store.ChannelDeleted {
		err = conversation.Errorf(conversation.CodeNotFound, "There is no channel %q.", id)
	}
	return c, err
}

// ListChannels lists channels.
func (s *Server) ListChannels(ctx context.Context, r ListChannelsRequestObject) (ListChannelsResponseObject, error) {
	var counts map[string]int64
	var suspended map[string]time.Time
	items, next, err := listed("channels", r.Params.Cursor, r.Params.Limit, func(after store.Cursor, limit int) ([]store.Channel, error) {
		list, err := s.store.Channels(ctx, after, limit)
		ids := shown(list, func(c store.Channel) string { return c.ID })
		if err == nil {
			counts, err = s.store.EventsWhileDisabled(ctx, ids...)
		}
		if err == nil {
			suspended, err = s.store.Suspensions(ctx, ids...)
		}
		return list, err
	}, func(c store.Channel) store.Cursor { return store.Cursor{At: c.CreatedAt, ID: c.ID} },
		func(c store.Channel) Channel { return s.showChannel(c, counts[c.ID], suspended[c.ID]) })
	return ListChannels200JSONResponse{Items: items, NextCursor: next}, err
}

// CreateChannel creates a channel that LINE lets speak.
func (s *Server) CreateChannel(ctx context.Context, r CreateChannelRequestObject) (CreateChannelResponseObject, error) {
	c := store.Channel{
		ID: idFor(ctx, conversation.PrefixChannel), Name: r.Body.Name, LINEChannelID: r.Body.LINEChannelID, WorkstreamID: r.Body.WorkstreamID, Locale: r.Body.Locale,
		Status: store.ChannelActive, Secrets: []string{r.Body.ChannelSecret}, AutomatedMessages: r.Body.AutomatedMessages,
		GroupChats: cmp.Or(r.Body.GroupChats, store.GroupsIgnored), RichMenus: r.Body.RichMenus,
	}
	if err := checkLocale(&c.Locale); err != nil {
		return nil, err
	}
	if err := checkAutomatedMessages(c.AutomatedMessages); err != nil {
		return nil, err
	}
	var err error
	if c.AccountLinking, err = readAccountLinking(r.Body.AccountLinking); err != nil {
		return nil, err
	}
	by := means{Kind: string(r.Body.AccessTokenKind), Token: r.Body.ChannelAccessToken, Key: r.Body.AssertionKey, KeyID: r.Body.AssertionKeyID}
	if _, err := by.apply(&c); err != nil {
		return nil, err
	}
	// The workstream first: it is cheaper to ask about than LINE.
	if _, err := s.store.Workstream(ctx, c.WorkstreamID); err != nil {
		return nil, missing(err, "/workstream_id")
	}
	v, err := s.admit(ctx, c)
	if err != nil {
		return nil, err
	}
	c.BotUserID, c.BasicID, c.ChatMode = v.info.UserID, v.info.BasicID, v.info.ChatMode
	if !v.expires.IsZero() {
		c.Replace(v.token, v.expires, time.Now())
	}
	made, err := s.store.CreateChannel(ctx, origin(ctx), c)
	if err != nil || made.Token != v.token { // or it was there before
		s.discard(ctx, c, v)
	}
	if err != nil {
		return nil, err
	}
	c = made
	s.channels.forget(c.ID)
	out, err := s.channelResponse(ctx, c)
	return CreateChannel201JSONResponse{out}, err
}

// missing makes of "there is no such thing" the fault of a field.
func missing(err error, field string) error {
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		return conversation.Invalid(field, "There is no such thing.")
	}
	return err
}

// GetChannel reads a channel.
func (s *Server) GetChannel(ctx context.Context, r GetChannelRequestObject) (GetChannelResponseObject, error) {
	c, err := s.channel(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	out, err := s.channelResponse(ctx, c)
	return GetChannel200JSONResponse{out}, err
}

func checkAutomatedMessages(list []store.AutomatedMessage) error {
	var wrong invalid
	if err := wrong.automatedMessages("/automated_messages", list); err != nil {
		return err
	}
	return wrong.err()
}

// channelChange is what a patch of a channel may hold, on top of what it has.
type channelChange struct {
	Name              string                   `json:"name"`
	WorkstreamID      string                   `json:"workstream_id"`
	Locale            string                   `json:"locale"`
	Status            string                   `json:"status"`
	GroupChats        string                   `json:"group_chats"`
	RichMenus         store.RichMenus          `json:"rich_menus"`
	AccountLinking    json.RawMessage          `json:"account_linking,omitempty"`
	AutomatedMessages []store.AutomatedMessage `json:"automated_messages"`
	ChannelSecret     string                   `json:"channel_secret"`
	GraceSeconds      *int64                   `json:"secret_grace_seconds"`
	means
}

// UpdateChannel changes a channel: its name, workstream and locale; its status;
// its secret, of which the old one stays good for a while; by what it speaks to
// LINE, which must be the same bot.
func (s *Server) UpdateChannel(ctx context.Context, r UpdateChannelRequestObject) (UpdateChannelResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	var change channelChange
	if err := mergePatch(channelChange{}, *r.Body, &change); err != nil {
		return nil, err
	}
	spoken, err := s.admitChange(ctx, r.ID, change) // asked before the row is locked
	if err != nil {
		return nil, err
	}
	c, err := s.store.UpdateChannel(ctx, origin(ctx), r.ID, version, func(c *store.Channel) error {
		stored := channelChange{Name: c.Name, WorkstreamID: c.WorkstreamID, Locale: c.Locale, Status: c.Status, GroupChats: c.GroupChats, RichMenus: c.RichMenus, AutomatedMessages: c.AutomatedMessages}
		if c.AccountLinking.On() {
			stored.AccountLinking = showAccountLinking(c.AccountLinking)
		}
		var now channelChange // a fresh one: what the patch cleared must not show through
		if err := mergePatch(stored, *r.Body, &now); err != nil {
			return err
		}
		var err error
		if c.AccountLinking, err = readAccountLinking(now.AccountLinking); err != nil {
			return err
		}
		c.Name, c.WorkstreamID, c.Locale, c.Status, c.AutomatedMessages = now.Name, now.WorkstreamID, now.Locale, now.Status, now.AutomatedMessages
		c.GroupChats = now.GroupChats
		if names(*r.Body, "rich_menus") {
			c.SetRichMenus(now.RichMenus)
		}
		if err := checkAutomatedMessages(c.AutomatedMessages); err != nil {
			return err
		}
		if now.ChannelSecret != "" {
			grace := defaultGrace
			if now.GraceSeconds != nil {
				grace = time.Duration(*now.GraceSeconds) * time.Second
			}
			c.RotateSecret(now.ChannelSecret, time.Now().Add(grace))
		}
		if spoken != nil {
			if err := spoken.give(c, change.means); err != nil {
				return err
			}
		}
		return checkLocale(&c.Locale)
	})
	if err != nil {
		if spoken != nil {
			s.discard(ctx, spoken.as, spoken.voice)
		}
		return nil, err
	}
	s.channels.forget(c.ID)
	if spoken != nil && !c.HeldAt.IsZero() {
		if err := s.store.RestoreChannel(ctx, c); err != nil {
			return nil, err
		}
		if c, err = s.channel(ctx, c.ID); err != nil {
			return nil, err
		}
	}
	out, err := s.channelResponse(ctx, c)
	return UpdateChannel200JSONResponse{out}, err
}

// DeleteChannel deletes a channel. With live=close its conversations are closed
// from here; those that cannot be at the moment are closed by Run.
func (s *Server) DeleteChannel(ctx context.Context, r DeleteChannelRequestObject) (DeleteChannelResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	evenLive := r.Params.Live == DeleteChannelParamsLiveClose
	if err := s.store.DeleteChannel(ctx, origin(ctx), r.ID, version, evenLive); err != nil {
		return nil, err
	}
	s.channels.forget(r.ID)
	if evenLive {
		if err := s.closeOrphans(ctx); err != nil {
			s.log.Warn("conversations of a deleted channel are still live; it is tried again", "channel_id", r.ID, "error", err)
		}
	}
	return DeleteChannel204Response{}, nil
}

// closeOrphans asks for the close of live conversations whose channel was
// deleted. Asking twice is harmless: the update's id is the conversation's.
func (s *Server) closeOrphans(ctx context.Context) error {
	const atOnce = 200
	ids, err := s.store.ConversationsOfDeletedChannels(ctx, atOnce)
	if err != nil {
		return err
	}
	var last error
	for _, id := range ids {
		c, err := s.store.Conversation(ctx, id)
		if err == nil {
			_, err = s.engine.Act(ctx, c.WorkflowID(), conversation.DerivedID("upd_", "channel_deleted", id),
				conversation.ActionRequest{ConversationID: id, Event: conversation.EventChannelDeleted})
		}
		if err != nil && conversation.CodeOf(err) != conversation.CodeConversationClosed {
			last = err
		}
	}
	return last
}
