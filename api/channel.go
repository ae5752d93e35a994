package api

import (
	"cmp"
	"context"
	"time"

	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
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
		WorkstreamID: c.WorkstreamID, Locale: c.Locale, Status: ChannelStatus(c.Status), GroupChats: c.GroupChats,
		AutomatedMessages: append([]store.AutomatedMessage{}, c.AutomatedMessages...), CallbackURL: s.callbackURL(c.ID),
		PreviousSecretUntil: Time(c.PreviousUntil), EventsWhileDisabled: whileDisabled, SuspendedSince: Time(suspended),
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

// CreateChannel creates a channel whose access token LINE accepts.
func (s *Server) CreateChannel(ctx context.Context, r CreateChannelRequestObject) (CreateChannelResponseObject, error) {
	c := store.Channel{
		ID: idFor(ctx, conversation.PrefixChannel), Name: r.Body.Name, LINEChannelID: r.Body.LINEChannelID, WorkstreamID: r.Body.WorkstreamID, Locale: r.Body.Locale,
		Status: store.ChannelActive, Secrets: []string{r.Body.ChannelSecret}, Token: r.Body.ChannelAccessToken, AutomatedMessages: r.Body.AutomatedMessages,
		GroupChats: cmp.Or(r.Body.GroupChats, store.GroupsIgnored),
	}
	if err := checkLocale(&c.Locale); err != nil {
		return nil, err
	}
	if err := checkAutomatedMessages(c.AutomatedMessages); err != nil {
		return nil, err
	}
	// The workstream first: it is cheaper to ask about than LINE.
	if _, err := s.store.Workstream(ctx, c.WorkstreamID); err != nil {
		return nil, missing(err, "/workstream_id")
	}
	info, err := s.line.As(c.Token).BotInfo(ctx)
	if err != nil {
		return nil, tokenRefused(err)
	}
	c.BotUserID, c.BasicID, c.ChatMode = info.UserID, info.BasicID, info.ChatMode
	if c, err = s.store.CreateChannel(ctx, origin(ctx), c); err != nil {
		return nil, err
	}
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
	Name               string                   `json:"name"`
	WorkstreamID       string                   `json:"workstream_id"`
	Locale             string                   `json:"locale"`
	Status             string                   `json:"status"`
	GroupChats         string                   `json:"group_chats"`
	AutomatedMessages  []store.AutomatedMessage `json:"automated_messages"`
	ChannelSecret      string                   `json:"channel_secret"`
	ChannelAccessToken string                   `json:"channel_access_token"`
	GraceSeconds       *int64                   `json:"secret_grace_seconds"`
}

// UpdateChannel changes a channel: its name, workstream and locale; its status;
// its secret, of which the old one stays good for a while; its access token,
// which must be of the same bot.
func (s *Server) UpdateChannel(ctx context.Context, r UpdateChannelRequestObject) (UpdateChannelResponseObject, error) {
	version, err := ifMatch(r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	var change channelChange
	if err := mergePatch(channelChange{}, *r.Body, &change); err != nil {
		return nil, err
	}
	var info line.BotInfo
	if change.ChannelAccessToken != "" { // asked before the row is locked
		if info, err = s.line.As(change.ChannelAccessToken).BotInfo(ctx); err != nil {
			return nil, tokenRefused(err)
		}
	}
	c, err := s.store.UpdateChannel(ctx, origin(ctx), r.ID, version, func(c *store.Channel) error {
		now := channelChange{Name: c.Name, WorkstreamID: c.WorkstreamID, Locale: c.Locale, Status: c.Status, GroupChats: c.GroupChats, AutomatedMessages: c.AutomatedMessages}
		if err := mergePatch(now, *r.Body, &now); err != nil {
			return err
		}
		c.Name, c.WorkstreamID, c.Locale, c.Status, c.AutomatedMessages = now.Name, now.WorkstreamID, now.Locale, now.Status, now.AutomatedMessages
		c.GroupChats = now.GroupChats
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
		if now.ChannelAccessToken != "" {
			if c.BotUserID != "" && info.UserID != c.BotUserID {
				return conversation.Invalid("/channel_access_token", "This access token is of another bot. Its customers' conversations would not continue; create another channel for it.")
			}
			c.Token, c.BotUserID, c.BasicID, c.ChatMode = now.ChannelAccessToken, info.UserID, info.BasicID, info.ChatMode
		}
		return checkLocale(&c.Locale)
	})
	if err != nil {
		return nil, err
	}
	s.channels.forget(c.ID)
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
