package api

import (
	"context"
	"encoding/json"
	"errors"

	"kaiwa/internal/accountlink"
	"kaiwa/internal/conversation"
	"kaiwa/internal/line"
	"kaiwa/internal/store"
)

func showAccountLink(l store.AccountLink) AccountLink {
	out := AccountLink{
		ID: l.ID, ChannelID: l.ChannelID, State: AccountLinkState(l.State), CustomerID: Nullable(l.CustomerID), ContactID: Nullable(l.ContactID), Contact: Nullable(l.Contact),
		EndedBy: Nullable(l.EndedBy), CreatedAt: fromMicros(l.CreatedAt), ConfirmedAt: fromMicros(l.ConfirmedAt), LinkedAt: fromMicros(l.LinkedAt), EndedAt: fromMicros(l.EndedAt),
	}
	if l.State == store.LinkStarted || l.State == store.LinkConfirmed {
		out.ExpiresAt = fromMicros(l.ExpiresAt)
	}
	return out
}

// ListConversationAccountLinks lists the account links of a conversation's customer.
func (s *Server) ListConversationAccountLinks(ctx context.Context, r ListConversationAccountLinksRequestObject) (ListConversationAccountLinksResponseObject, error) {
	c, err := s.store.Conversation(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	list, err := s.store.AccountLinksOfChat(ctx, c.ChannelID, c.ChatKey)
	return ListConversationAccountLinks200JSONResponse{AccountLinkListJSONResponse{Items: shown(list, showAccountLink)}}, err
}

// ListContactAccountLinks lists the account links that attached a contact.
func (s *Server) ListContactAccountLinks(ctx context.Context, r ListContactAccountLinksRequestObject) (ListContactAccountLinksResponseObject, error) {
	if _, err := s.store.Contact(ctx, r.ID); err != nil {
		return nil, err
	}
	list, err := s.store.AccountLinksOfContact(ctx, r.ID)
	return ListContactAccountLinks200JSONResponse{AccountLinkListJSONResponse{Items: shown(list, showAccountLink)}}, err
}

// DeleteAccountLink unlinks a customer's account.
func (s *Server) DeleteAccountLink(ctx context.Context, r DeleteAccountLinkRequestObject) (DeleteAccountLinkResponseObject, error) {
	chat, err := s.store.UnlinkAccount(ctx, origin(ctx), r.ID, store.UnlinkedByAgent)
	if err != nil {
		return nil, err
	}
	s.inbox.Notify(chat.ChannelID, chat.ChatKey)
	return DeleteAccountLink204Response{}, nil
}

// ConfirmAccountLink takes the company's word for who has signed in, and answers
// with LINE's dialog for them. LINE's link token is issued here, at the last
// moment, and kept nowhere: it is good for ten minutes.
func (s *Server) ConfirmAccountLink(ctx context.Context, r ConfirmAccountLinkRequestObject) (ConfirmAccountLinkResponseObject, error) {
	keys := s.store.Keys()
	if !accountlink.Refers(keys, r.ID, r.Body.Reference) {
		return nil, conversation.Errorf(conversation.CodeNotFound, "There is no account link %q with this reference.", r.ID)
	}
	before, err := s.store.AccountLink(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	c, err := s.channel(ctx, before.ChannelID)
	if err != nil {
		return nil, err
	}
	if !c.AccountLinking.On() || c.Status != store.ChannelActive {
		return nil, conversation.Errorf(conversation.CodeNotAllowedNow, "Account linking is off for the channel %q.", c.Name)
	}
	nonce := accountlink.Nonce(keys, r.ID)
	link, err := s.store.ConfirmAccountLink(ctx, origin(ctx), r.ID, r.Body.CustomerID, accountlink.Digest(nonce))
	if err != nil {
		return nil, err
	}
	var token line.LinkToken
	err = s.tokens.Call(ctx, s.store, c, func(client *line.Client) (err error) {
		token, err = client.IssueLinkToken(ctx, link.LINEUserID)
		return err
	})
	if line.ClassOf(err) == line.ClassNotFound {
		return nil, &conversation.Error{Code: conversation.CodeLINERefused, Detail: "LINE issues no link token for the customer: they do not have the account as a friend.", Err: err}
	}
	if err != nil {
		return nil, lineError(err)
	}
	return ConfirmAccountLink200JSONResponse{RedirectURL: accountlink.DialogURL(s.accessURL, token.Token, nonce), ExpiresAt: fromMicros(link.ExpiresAt)}, nil
}

// noteFailedLinks takes LINE's word that it could not link an account: such an
// event has no chat whose workflow would. When it cannot be kept, LINE delivers it
// again.
func (s *Server) noteFailedLinks(ctx context.Context, channelID string, events []store.InboxEvent) (chats []store.Chat, _ error) {
	for _, e := range events {
		if e.Kind != line.EventAccountLink || e.ChatKey != "" || e.Disposition == store.DispositionChannelDisabled {
			continue
		}
		event, err := line.ParseEvent(e.Raw)
		if err != nil || event.Link == nil || event.Link.OK {
			continue
		}
		chat, found, err := s.store.FailAccountLink(ctx, channelID, e.WebhookEventID, accountlink.Digest(event.Link.Nonce))
		if err != nil {
			return nil, err
		}
		if found {
			chats = append(chats, chat)
		}
	}
	return chats, nil
}

// readAccountLinking reads a channel's setting: null and nothing are off.
func readAccountLinking(raw json.RawMessage) (l store.AccountLinking, _ error) {
	if len(raw) == 0 || string(raw) == "null" {
		return l, nil
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		return l, err
	}
	if wrong := accountlink.CheckLoginURL(l.LoginURL); wrong != "" {
		return l, conversation.Invalid("/account_linking/login_url", "%s", wrong)
	}
	return l, nil
}

// showAccountLinking is the setting as the API shows it: null is off.
func showAccountLinking(l store.AccountLinking) json.RawMessage {
	if !l.On() {
		return json.RawMessage("null")
	}
	b, err := json.Marshal(l)
	if err != nil {
		panic(err) // of a string
	}
	return b
}

// linkCard is an agent's card of account linking as far as it can be checked; its
// link is made when it is sent.
func (s *Server) linkCard(ctx context.Context, conversationID string, content conversation.Content) (conversation.Content, error) {
	c, err := s.store.Conversation(ctx, conversationID)
	if err != nil {
		return content, err
	}
	if chatType(c.LINEUserID) != "user" {
		return content, conversation.Invalid("/type", "Accounts are linked in a chat with one customer, not in a group.")
	}
	channel, err := s.store.Channel(ctx, c.ChannelID)
	if err != nil {
		return content, err
	}
	if !channel.AccountLinking.On() {
		return content, conversation.Invalid("/type", "The channel's account_linking is off. An administrator can set it.")
	}
	content.Locale = accountlink.Language(c.Language, c.Locale)
	card, err := accountlink.Card(content, s.publicURL+accountlink.Path)
	var invalid *conversation.Error
	if errors.As(err, &invalid) {
		return content, err
	}
	return card, err
}
